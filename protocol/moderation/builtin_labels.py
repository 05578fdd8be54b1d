"""What common labels mean, unless the community says otherwise: those of the policies that come with a node,
and those that authors often put on their own posts."""

# ruff: noqa: RUF001 (Turkish has a dotless i)

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from folkmoot.protocol.moderation.definitions import Blurs, Definition, Definitions, Severity, Words

_VALUES: Final = (
    "spam",
    "scam",
    "promotion",
    "off-site-invitation",
    "threat",
    "self-harm",
    "abuse",
    "nudity",
    "sexual",
    "violence",
    "spoiler",
)

# In the order of the values.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        *("Spam", "Scam", "Self-promotion", "Invitation to a private chat", "Threat", "Self-harm", "Abuse"),
        *("Nudity", "Sexual content", "Violence", "Spoiler"),
    ),
    "de": (
        *(
            "Spam",
            "Betrug",
            "Eigenwerbung",
            "Einladung in einen privaten Chat",
            "Drohung",
            "Selbstverletzung",
            "Beleidigung",
        ),
        *("Nacktheit", "Sexuelle Inhalte", "Gewalt", "Spoiler"),
    ),
    "fr": (
        *(
            "Spam",
            "Arnaque",
            "Autopromotion",
            "Invitation à une discussion privée",
            "Menace",
            "Automutilation",
            "Injures",
        ),
        *("Nudité", "Contenu sexuel", "Violence", "Divulgâcheur"),
    ),
    "es": (
        *(
            "Spam",
            "Estafa",
            "Autopromoción",
            "Invitación a un chat privado",
            "Amenaza",
            "Autolesión",
            "Insultos",
        ),
        *("Desnudez", "Contenido sexual", "Violencia", "Destripe"),
    ),
    "pt": (
        *(
            "Spam",
            "Golpe",
            "Autopromoção",
            "Convite para uma conversa privada",
            "Ameaça",
            "Automutilação",
            "Insultos",
        ),
        *("Nudez", "Conteúdo sexual", "Violência", "Spoiler"),
    ),
    "it": (
        *(
            "Spam",
            "Truffa",
            "Autopromozione",
            "Invito a una chat privata",
            "Minaccia",
            "Autolesionismo",
            "Insulti",
        ),
        *("Nudità", "Contenuti sessuali", "Violenza", "Spoiler"),
    ),
    "nl": (
        *(
            "Spam",
            "Oplichting",
            "Eigen reclame",
            "Uitnodiging voor een privéchat",
            "Bedreiging",
            "Zelfbeschadiging",
            "Belediging",
        ),
        *("Naaktheid", "Seksuele inhoud", "Geweld", "Spoiler"),
    ),
    "pl": (
        *(
            "Spam",
            "Oszustwo",
            "Autopromocja",
            "Zaproszenie do prywatnego czatu",
            "Groźba",
            "Samookaleczenie",
            "Obelgi",
        ),
        *("Nagość", "Treści seksualne", "Przemoc", "Spoiler"),
    ),
    "ru": (
        *(
            "Спам",
            "Мошенничество",
            "Самореклама",
            "Приглашение в личный чат",
            "Угроза",
            "Самоповреждение",
            "Оскорбления",
        ),
        *("Нагота", "Сексуальный контент", "Насилие", "Спойлер"),
    ),
    "ar": (
        *("بريد مزعج", "احتيال", "ترويج ذاتي", "دعوة إلى محادثة خاصة", "تهديد", "إيذاء النفس", "إساءة"),
        *("عري", "محتوى جنسي", "عنف", "حرق للأحداث"),
    ),
    "hi": (
        *("स्पैम", "धोखाधड़ी", "आत्म-प्रचार", "निजी चैट का न्योता", "धमकी", "आत्म-क्षति", "अपशब्द"),
        *("नग्नता", "यौन सामग्री", "हिंसा", "स्पॉइलर"),
    ),
    "tr": (
        *(
            "Spam",
            "Dolandırıcılık",
            "Kendi reklamı",
            "Özel sohbete davet",
            "Tehdit",
            "Kendine zarar verme",
            "Hakaret",
        ),
        *("Çıplaklık", "Cinsel içerik", "Şiddet", "Sürprizbozan"),
    ),
    "zh": (
        "垃圾信息",
        "诈骗",
        "自我推广",
        "私聊邀请",
        "威胁",
        "自残",
        "辱骂",
        "裸露",
        "性内容",
        "暴力",
        "剧透",
    ),
    "ja": (
        *("スパム", "詐欺", "自己宣伝", "外部の個人チャットへの誘い", "脅迫", "自傷行為", "暴言"),
        *("ヌード", "性的な内容", "暴力", "ネタバレ"),
    ),
}

_SHOWN: Final[Mapping[str, tuple[Severity, Blurs]]] = {
    "spam": (Severity.INFORM, Blurs.CONTENT),
    "scam": (Severity.ALERT, Blurs.CONTENT),
    "promotion": (Severity.INFORM, Blurs.NONE),
    "off-site-invitation": (Severity.INFORM, Blurs.NONE),
    "threat": (Severity.ALERT, Blurs.CONTENT),
    "self-harm": (Severity.ALERT, Blurs.CONTENT),
    "abuse": (Severity.ALERT, Blurs.CONTENT),
    "nudity": (Severity.INFORM, Blurs.MEDIA),
    "sexual": (Severity.INFORM, Blurs.CONTENT),
    "violence": (Severity.INFORM, Blurs.MEDIA),
    "spoiler": (Severity.INFORM, Blurs.CONTENT),
}


def _definition(place: int, value: str) -> Definition:
    severity, blurs = _SHOWN[value]
    words = {language: Words(names[place]) for language, names in _NAMES.items()}
    return Definition(value, severity, blurs, words=words)


BUILT_IN: Final[Definitions] = {value: _definition(place, value) for place, value in enumerate(_VALUES)}
"""By their values."""
