from dataclasses import replace

from study_points import point

from secateur.point import Epochs
from secateur.report.budget import budget_words

ONE = point("magnitude", 0, 0, 0.5, 900)


def test_it_says_whether_all_had_the_same() -> None:
    one, other = (replace(ONE, epochs=Epochs(6, sparse, 4 - sparse)) for sparse in (0, 2))
    assert budget_words([one, other]) == "Equal budget: every point had 10 epochs in all."
    more = replace(ONE, epochs=Epochs(6, 0, 4, statistics=1))
    assert budget_words([one, more]) == "Unequal budget: points had 10 to 11 epochs in all."
    assert budget_words([]) == ""
