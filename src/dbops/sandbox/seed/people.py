"""Names: of companies (they overlap, as those of real tenants do), of people, of what they work with; and prose."""

import random

_COMPANIES = (
    "Northwind",
    "Contoso",
    "Fabrikam",
    "Adventure Works",
    "Tailspin",
    "Wingtip",
    "Litware",
    "Proseware",
    "Lucerne",
    "Woodgrove",
    "Trey Research",
    "Alpine Ski House",
)
# One name begins another, and every fourth tenant has the very name of the first: only ids tell them apart.
_VARIANTS = ("", " Group", " Group Europe", "")

_FIRST = (
    *("Aisha", "Amélie", "Anders", "Beatriz", "Björn", "Carlos", "Chiara", "Daniel", "Deepa", "Elena", "Emeka"),
    *("Fatima", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jana", "João", "Kwame", "Lars", "Leila", "Magda", "Mateo"),
    *("Mei", "Miriam", "Noah", "Olga", "Pablo", "Priya", "Quentin", "Rosa", "Ruth", "Samir", "Sofia", "Søren"),
    *("Tomás", "Uma", "Victor", "Wanda", "Xavier", "Yuki", "Zoë"),
)
_LAST = (
    *("Abe", "Almeida", "Bauer", "Bianchi", "Brown", "Chen", "Cohen", "Dubois", "Eriksen", "Fischer", "García"),
    *("Haddad", "Horváth", "Ito", "Jansen", "Kaya", "Kim", "Kowalski", "Larsen", "Lindqvist", "Marino", "Meyer"),
    *("Müller", "Nakamura", "Nguyen", "Novák", "O'Brien", "Okafor", "Olsen", "Patel", "Petrov", "Ramos", "Rossi"),
    *("Sato", "Schmidt", "Silva", "Singh", "Smith", "Suárez", "Tanaka", "Weber", "Yilmaz", "Zhang"),
)
_PLAIN = str.maketrans("áàâãäåçéèêëíîïñóôõöøúüýě", "aaaaaaceeeeiiinooooouuye", "'")

TOPICS = (
    "billing",
    "onboarding",
    "incident review",
    "cost control",
    "access policy",
    "data migration",
    "contract renewal",
    "release planning",
)
_SENTENCES = {
    "billing": (
        "The invoice of last month lists three subscriptions that nobody owns any more.",
        "Credits are applied before tax, so the total differs from the export.",
        "Please split the shared cluster by the tags of its consumers.",
        "The exchange rate is the one of the first day of the billing period.",
    ),
    "onboarding": (
        "A new colleague needs access to the workspace and to its two agents.",
        "The checklist begins with the security training and ends with the first deployment.",
        "Accounts are created by the directory, never by hand.",
        "After ninety days the temporary permissions are reviewed.",
    ),
    "incident review": (
        "The queue grew for forty minutes before the alert reached anybody.",
        "The replica was eleven seconds behind when the primary stopped.",
        "Nobody had tested the restore since the schema changed.",
        "We add a drill for this case and date it.",
    ),
    "cost control": (
        "Eleven virtual machines run at four per cent and could be half their size.",
        "Reserved instances cover sixty per cent of the steady load.",
        "Storage in the cool tier is read more often than the price assumes.",
        "A budget alert at eighty per cent comes too late for this service.",
    ),
    "access policy": (
        "Public network access must be off for every key vault.",
        "The role grants more than the job needs; a narrower one exists.",
        "Two service principals share one secret, and it expires on Friday.",
        "Exceptions carry an owner, a reason and a date.",
    ),
    "data migration": (
        "The columns of the export do not match the mapping of the first import.",
        "We rehost the file server and replatform the database behind it.",
        "Dependencies were found between the ledger and the old print service.",
        "Rows without a customer number go to a list for the client.",
    ),
    "contract renewal": (
        "The notice period of the support contract ends in six weeks.",
        "They ask for a second region and the same price.",
        "The service levels of the annex are stricter than those of the main text.",
        "Legal wants the clause on data residency in plain words.",
    ),
    "release planning": (
        "The feature flag stays off until the backfill is verified.",
        "We ship the expand phase now and the contract phase next month.",
        "Two teams change the same table; one of them waits.",
        "The rollback was tried in staging, and it took four minutes.",
    ),
}


def company(number: int) -> str:
    name = _COMPANIES[number // len(_VARIANTS) % len(_COMPANIES)]
    return name + _VARIANTS[number % len(_VARIANTS)]


def slug(number: int) -> str:
    """Return what is unique about a tenant's name."""
    plain = company(number).lower().replace(" ", "-")
    return f"{plain}-2" if number % len(_VARIANTS) == len(_VARIANTS) - 1 else plain


def person(number: int) -> str:
    return f"{_FIRST[number % len(_FIRST)]} {_LAST[number * 17 % len(_LAST)]}"


def first_and_last(number: int) -> tuple[str, str]:
    return _FIRST[number % len(_FIRST)], _LAST[number * 17 % len(_LAST)]


def email(number: int, tenant: int) -> str:
    name = person(number).lower().translate(_PLAIN).replace(" ", ".")
    return f"{name}.{number}@{slug(tenant)}.example"


def topic(number: int) -> str:
    return TOPICS[number % len(TOPICS)]


def agent(number: int) -> str:
    role = ("Researcher", "Reviewer", "Planner", "Summariser", "Router", "Auditor")[number // len(TOPICS) % 6]
    return f"{topic(number).title()} {role}"


def prose(chance: random.Random, about: str, sentences: int) -> str:
    """Write some sentences about a topic; now and then one of another."""
    known = _SENTENCES[about]
    found = chance.choices(known, k=sentences)
    if chance.random() < 0.3:
        found[-1] = chance.choice(_SENTENCES[chance.choice(TOPICS)])
    return " ".join(found)
