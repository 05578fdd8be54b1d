"""Which generation of each projection is read on this node, and which is being built."""

from __future__ import annotations

from collections.abc import Mapping

from folkmoot.node.commits import Commits
from folkmoot.protocol.projections.entries import Projection
from folkmoot.storage.projecting import Part, Target
from folkmoot.storage.projection_formats import begin_formats, of_other_formats
from folkmoot.storage.projections import Generation, ProjectionBook, generation_of
from folkmoot.storage.transaction import Admission, WriteTransaction


class Generations:
    """See the module.

    Args:
        commits: this node's store.
    """

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        with commits.store.engine.begin() as transaction:
            self._known = {each: generation_of(transaction, each) for each in Projection}

    async def begin_formats(self) -> list[Projection]:
        """Throw away what is of another format than this program's; see `projection_formats`.

        Returns:
            The projections of which there was something, and for which everything is to be read anew.

        Raises:
            DiskFull: nothing was changed.
        """
        with self._commits.store.engine.begin() as transaction:
            if not of_other_formats(transaction):
                return []
        begun = await self._commits.run(begin_formats, Admission.PEER_JOIN)
        with self._commits.store.engine.begin() as transaction:
            for projection in begun:
                self._note(projection, generation_of(transaction, projection))
        return begun

    def of(self, projection: Projection) -> Generation:
        """The generations of a projection."""
        return self._known[projection]

    def all(self) -> Mapping[Projection, Generation]:
        """Of all projections."""
        return self._known

    def live(self, projection: Projection) -> int:
        """The generation that is read."""
        return self._known[projection].live

    def live_targets(self) -> list[Target]:
        """What follows the logs. Home feeds that are being built are told of follows by it, too."""
        targets = [Target(each, known.live) for each, known in self._known.items()]
        building = self._known[Projection.HOME].building
        return targets if building is None else [*targets, Target(Projection.HOME, building, Part.FOLLOWS)]

    def target_of(self, projection: Projection) -> Target:
        """What is being built of a projection, by a run of its own."""
        building = self._known[projection].building
        assert building is not None, "only what is being built is gone on with"
        return Target(projection, building, Part.POSTS if projection is Projection.HOME else Part.ALL)

    def building(self) -> list[Projection]:
        """The projections that are being built anew."""
        return [each for each, known in self._known.items() if known.building is not None]

    async def begin(self, projection: Projection) -> None:
        """Have a projection be built anew, beside what is read of it; if it is already, begin once more."""
        known = self._known[projection]
        await self._set(projection, Generation(known.live, known.next))

    async def finish(self, projection: Projection) -> None:
        """Have what was built be read, and the main run go on where it was built up to."""
        known = self._known[projection]
        assert known.building is not None, "only what was built can be read"
        await self._set(projection, Generation(known.building), is_built=True)

    async def _set(self, projection: Projection, generation: Generation, *, is_built: bool = False) -> None:
        def job(transaction: WriteTransaction) -> None:
            book = ProjectionBook(transaction)
            if is_built:
                book.go_back_to(projection)
            book.set_generation(projection, generation)
            book.forget_cursors(projection)

        await self._commits.run(job, Admission.PEER_JOIN)
        self._note(projection, generation)

    def _note(self, projection: Projection, generation: Generation) -> None:
        """Another generation is read, or built, than was."""
        self._known[projection] = generation
        self._commits.store.live[projection] = generation.live
        if projection in (Projection.THREADS, Projection.FOLLOWERS, Projection.HOME):
            self._commits.store.shown.forget_all()
