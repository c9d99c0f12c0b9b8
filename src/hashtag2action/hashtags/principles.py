"""The paper's six principles of choosing hashtags (section 3.2), each a function over candidates.

Each returns what it would change, with the evidence. What it does not name, it leaves as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hashtag2action.hashtags.candidates import Candidate
from hashtag2action.hashtags.knowledge import Facts
from hashtag2action.hashtags.language import gerund, lemma, singular
from hashtag2action.hashtags.popularity import most_viewed

UMBRELLA_SHARE = 0.5  # of a tag's posts that carry the umbrella too
MIXED_ENTROPY = 0.75  # of an umbrella's parts, as a share of the most that so many parts can have
MIXED_PARTS = 3


@dataclass(frozen=True)
class Finding:
    """That a tag is to be replaced by others (or, by itself alone, to be taken in), and why."""

    tag: str
    into: tuple[str, ...]
    evidence: str


def generalisation(candidates: Sequence[Candidate], facts: Facts) -> list[Finding]:
    """An umbrella term covers its children: #basketball for #playingbasketball, #dunking, #dribbling (3.2.1)."""
    findings = []
    for candidate in candidates:
        umbrella, evidence = _umbrella(candidate, facts)
        if umbrella and umbrella != candidate.tag and not _views_less(facts, umbrella, candidate.tag):
            findings.append(Finding(candidate.tag, (umbrella,), evidence + _compare(facts, umbrella, candidate.tag)))
    return findings


def specification(candidates: Sequence[Candidate], facts: Facts) -> list[Finding]:
    """An umbrella that is too mixed gives way to its children: #ballroomdance to #chacha #salsa #tango #waltz (3.2.2)."""
    findings = []
    for candidate in candidates:
        parts = facts.knowledge.mixed.get(candidate.phrase.key) or facts.knowledge.mixed.get(candidate.tag)
        if parts:
            findings.append(Finding(candidate.tag, parts, "listed as a mixed umbrella term"))
        elif (found := _mixed_in_metadata(candidate, candidates, facts)) is not None:
            findings.append(found)
    return findings


def noun_substitution(candidates: Sequence[Candidate], facts: Facts) -> list[Finding]:
    """The noun alone finds more: #piano for #playingpiano (3.2.3). A verb that carries meaning is not dropped."""
    findings = []
    for candidate in candidates:
        phrase, knowledge = candidate.phrase, facts.knowledge
        if phrase.verb is None or phrase.adverbial or not phrase.nouns:
            continue
        noun = "".join(phrase.nouns)
        if phrase.verb in knowledge.light_verbs:
            reason = f'"{phrase.verb}" adds nothing to #{noun}'
        elif noun in knowledge.styles.get(phrase.verb, ()):
            reason = f"#{noun} names the {phrase.verb}"
        else:
            continue
        if len(noun) > 2 and not _views_less(facts, noun, candidate.tag):
            findings.append(Finding(candidate.tag, (noun,), reason + _compare(facts, noun, candidate.tag)))
    return findings


def noun_verb_order(candidates: Sequence[Candidate], facts: Facts) -> list[Finding]:
    """Users write the noun first: #shoerepair for #repairingshoes (3.2.4). Views choose between the forms."""
    findings = []
    for candidate in candidates:
        phrase = candidate.phrase
        if phrase.verb is None or not phrase.verb_first or phrase.adverbial or not phrase.nouns:
            continue
        noun = "".join(phrase.nouns[:-1]) + singular(phrase.nouns[-1])
        forms = [noun + phrase.verb, noun + gerund(phrase.verb), "".join(phrase.nouns) + gerund(phrase.verb)]
        if phrase.verb not in facts.knowledge.verbs_that_are_nouns:
            forms = [*forms[1:], forms[0]]
        best = most_viewed([candidate.tag, *forms], facts.views)
        if best != candidate.tag:
            chosen = best or forms[0]
            findings.append(
                Finding(candidate.tag, (chosen,), "noun before verb" + _compare(facts, chosen, candidate.tag))
            )
    return findings


def consolidation(candidates: Sequence[Candidate], facts: Facts) -> list[Finding]:
    """Of tags for one action the most viewed stays: #cuttingcakes of #cutfruit #applecutting #breadcutting (3.2.5)."""
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(_motion(candidate, facts), []).append(candidate)
    findings = []
    for (verb, thing), group in groups.items():
        if len(group) < 2:
            continue
        tags = [candidate.tag for candidate in group]
        best = most_viewed(tags, facts.views)
        kept = best or min(tags, key=lambda tag: (len(tag), tag))
        why = f"the same action ({verb} {thing})".replace(" )", ")") + (
            "" if best else "; views unknown, the shortest stays"
        )
        findings += [Finding(tag, (kept,), why + _compare(facts, kept, tag)) for tag in tags if tag != kept]
    return findings


def social_consideration(candidates: Sequence[Candidate], facts: Facts) -> list[Finding]:
    """Challenges that rise in the metadata are taken in, such as #flowerchallenge (3.2.6)."""
    findings = []
    for candidate in candidates:
        if facts.knowledge.category(candidate.phrase) != "challenge":
            continue
        rise = facts.rising.get(candidate.tag)
        if rise is not None and rise.low > 1.0:
            times = f"used {rise.ratio:.1f} times as often as before (95 % interval {rise.low:.1f}-{rise.high:.1f}; {rise.before} -> {rise.now} posts)"
            findings.append(Finding(candidate.tag, (candidate.tag,), times))
        elif not all(source.startswith("metadata") for source in candidate.sources):
            findings.append(Finding(candidate.tag, (candidate.tag,), "a challenge on the list"))
    return findings


# The paper's order, but for the fifth: of several wordings the most viewed is found before one is reworded.
PRINCIPLES: dict[str, Callable[[Sequence[Candidate], Facts], list[Finding]]] = {
    "generalisation": generalisation,
    "specification": specification,
    "noun substitution": noun_substitution,
    "consolidation": consolidation,
    "noun-verb order": noun_verb_order,
    "social / cultural": social_consideration,
}


def _umbrella(candidate: Candidate, facts: Facts) -> tuple[str | None, str]:
    phrase, knowledge = candidate.phrase, facts.knowledge
    if candidate.tag in knowledge.umbrellas or phrase.key in knowledge.mixed or candidate.tag in knowledge.mixed:
        return None, ""
    for form in (
        candidate.tag,
        phrase.key,
        "".join(phrase.nouns),
        *(lemma(word) for word in phrase.words if len(phrase.words) == 1),
    ):
        if form in knowledge.umbrella_of:
            return knowledge.umbrella_of[form], f"#{form} is listed under #{knowledge.umbrella_of[form]}"
    # The longest run of words that is an umbrella term: "table tennis shot" is table tennis, not tennis.
    runs = [phrase.words[i:j] for i in range(len(phrase.words)) for j in range(len(phrase.words), i, -1)]
    for run in sorted(runs, key=len, reverse=True):
        for form in (
            "".join(run),
            "".join(lemma(word) for word in run),
            gerund(lemma(run[-1])) if len(run) == 1 else "",
        ):
            if form in knowledge.umbrellas and form != candidate.tag:
                return form, f"the words name #{form}"
    shares = {other: facts.share(candidate.tag, other) for other in knowledge.umbrellas if other != candidate.tag}
    other = max(shares, key=lambda tag: (shares[tag], tag), default=None)
    if other is not None and shares[other] >= UMBRELLA_SHARE:
        return other, f"{shares[other]:.0%} of its posts carry #{other} too"
    return None, ""


def _mixed_in_metadata(candidate: Candidate, candidates: Sequence[Candidate], facts: Facts) -> Finding | None:
    """Split an umbrella whose posts spread evenly over several other candidates."""
    if candidate.tag not in facts.knowledge.umbrellas:
        return None
    tags = {other.tag for other in candidates} - {candidate.tag}
    shares = {tag: facts.share(candidate.tag, tag) for tag in tags}
    parts = sorted((tag for tag, share in shares.items() if share >= 0.1), key=lambda tag: (-shares[tag], tag))
    if len(parts) < MIXED_PARTS:
        return None
    total = sum(shares[tag] for tag in parts)
    entropy = -sum(shares[tag] / total * math.log(shares[tag] / total) for tag in parts) / math.log(len(parts))
    if entropy < MIXED_ENTROPY:
        return None
    listed = ", ".join(f"#{tag} {shares[tag]:.0%}" for tag in parts)
    return Finding(candidate.tag, tuple(parts), f"its posts are mixed (entropy {entropy:.2f} of 1): {listed}")


def _motion(candidate: Candidate, facts: Facts) -> tuple[str, str]:
    """Return verb and thing of an action, the same for actions that look alike."""
    knowledge, phrase = facts.knowledge, candidate.phrase
    if phrase.verb is None or not phrase.nouns:
        form = knowledge.same.get(candidate.tag, phrase.key)
        return "", knowledge.same.get(form, form)
    nouns = [knowledge.same.get(lemma(noun), lemma(noun)) for noun in phrase.nouns]
    if (whole := knowledge.same.get(phrase.verb + "".join(lemma(noun) for noun in phrase.nouns))) is not None:
        return "", whole
    if phrase.verb in knowledge.verbs_of_one_motion and not phrase.adverbial and nouns[-1] in knowledge.kind_of:
        return phrase.verb, knowledge.kind_of[nouns[-1]]
    return phrase.verb, " ".join(nouns)


def _views_less(facts: Facts, tag: str, than: str) -> bool:
    mine, other = facts.value(tag), facts.value(than)
    return mine is not None and other is not None and mine < other


def _compare(facts: Facts, tag: str, with_tag: str) -> str:
    mine, other = facts.value(tag), facts.value(with_tag)
    if mine is None and other is None:
        return ""
    return f"; views: #{tag} {short(mine)}, #{with_tag} {short(other)}"


def short(number: float | None) -> str:
    """Return a count as people write it: 44.4B."""
    if number is None:
        return "unknown"
    for scale, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= scale:
            return f"{number / scale:.3g}{unit}"
    return f"{number:.0f}"
