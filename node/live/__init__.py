"""Live streams: clients, and nodes on their behalf, follow the change logs of replicas."""
