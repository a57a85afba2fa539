"""Rules by which one candidate is chosen, and what the criteria behind them answer."""

from __future__ import annotations

from dataclasses import dataclass

from mixtura.errors import UsageError

#: What the criteria ask.
DENSITY = "how good is the density"
GROUPS = "how many groups are there"


@dataclass(frozen=True)
class Rule:
    """How one candidate is chosen.

    Attributes
    ----------
    name : str
        Word for it.
    column : str
        Column of the table that it looks at.
    question : str
        What this criterion answers.
    words : str
        The rule in words.
    """

    name: str
    column: str
    question: str
    words: str

    @property
    def is_cross_validated(self) -> bool:
        """Rows that were left out decide."""
        return self.column == "cv_log_density"

    @property
    def parsimonious(self) -> bool:
        """The simplest candidate within one standard error is chosen, not the best."""
        return self.name == "cv-1se"


RULES = {
    rule.name: rule
    for rule in (
        Rule("bic", "bic", DENSITY, "smallest BIC"),
        Rule("icl", "icl", GROUPS, "smallest ICL (BIC with the cost of hard labels)"),
        Rule(
            "icl-entropy", "icl_entropy", GROUPS,
            "smallest ICL with the entropy of the responsibilities",
        ),
        Rule("aic", "aic", DENSITY, "smallest AIC"),
        Rule("aicc", "aicc", DENSITY, "smallest AICc"),
        Rule("sabic", "sabic", DENSITY, "smallest sample-size adjusted BIC"),
        Rule("cv", "cv_log_density", DENSITY, "largest held-out log-density per row"),
        Rule(
            "cv-1se", "cv_log_density", DENSITY,
            "fewest free parameters within one standard error of the largest held-out "
            "log-density per row (the error counts the rows and the fits)",
        ),
    )
}  # fmt: skip

_TAILS = {"min": "", "1se": "-1se"}


def find_rule(rule: str | None = None, criterion: str | None = None) -> Rule:
    """Look a rule up: by its word, or by a criterion and "min" or "1se".

    Raises
    ------
    UsageError
        A word is not known, or the two contradict each other.

    Examples
    --------
    >>> find_rule().name, find_rule("cv-1se").name, find_rule("1se", "cv").name
    ('bic', 'cv-1se', 'cv-1se')
    """
    known = [*RULES, *_TAILS]
    if rule is not None and rule not in known:
        raise UsageError.argument("rule", rule, f"one of {', '.join(known)}")
    if criterion is not None and criterion not in RULES:
        raise UsageError.argument("criterion", criterion, f"one of {', '.join(RULES)}")
    if rule in _TAILS:
        start = criterion or ("cv" if rule == "1se" else "bic")
        name = start if start.endswith(_TAILS[rule]) else start + _TAILS[rule]
        if name not in RULES:
            raise UsageError.argument("rule", rule, "'min' for this criterion; 1se goes with cv")
        return RULES[name]
    if rule is not None and criterion is not None:
        if RULES[rule].column != RULES[criterion].column:
            raise UsageError.argument("rule", rule, f"a rule about the criterion '{criterion}'")
        return RULES[rule]
    return RULES[rule or criterion or "bic"]
