"""Distillation: a student takes over a frozen teacher's answers, and the labels where there are some.

Chen, Kornblith, Swersky, Norouzi and Hinton, "Big Self-Supervised Models are Strong Semi-Supervised Learners", NeurIPS
2020, equations 2 and 3: https://arxiv.org/abs/2006.10029

Not in the table of losses, as it takes the logits of two networks and no embeddings.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from retrieval.functional.labels import NO_LABEL
from retrieval.losses.pairs import check_classes
from retrieval.losses.precision import full_precision


@full_precision
def distillation(
    student: Tensor, teacher: Tensor, labels: Tensor, *, alpha: float = 1.0, temperature: float = 1.0
) -> Tensor:
    """(1 - alpha) ``labelled_term`` + alpha ``soft_term``, each a sum over its rows divided by B.

    Args:
        student: [B, C] logits.
        teacher: [B, C] logits, of a network that gets no gradient.
        labels: [B] in 0 to C - 1; rows of -1 have none.
        alpha: in [0, 1], the weight of the teacher.
        temperature: tau > 0 of both networks in the soft term.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 where there are no rows.

    Raises:
        ValueError: shapes that do not fit, or a label beyond the logits.
    """
    return (1 - alpha) * labelled_term(student, labels) + alpha * soft_term(student, teacher, temperature)


@full_precision
def labelled_term(student: Tensor, labels: Tensor) -> Tensor:
    """- 1/B times the sum over labelled rows of log P_S(y|x), at temperature 1.

    The paper sums over the labelled part and over everything; both sums are divided by the same B here, so that their
    weight against each other is the paper's: with few labels the term is small.

    Args:
        student: [B, C] logits.
        labels: [B] in 0 to C - 1; rows of -1 take no part.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: a label beyond the logits.
    """
    check_classes(labels, student.shape[1])
    return cross_entropy(student, labels, ignore_index=NO_LABEL, reduction="sum") / max(1, len(labels))


@full_precision
def soft_term(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """- 1/B times the sum over all rows and classes of P_T(y|x; tau) log P_S(y|x; tau).

    Without the factor tau² that Hinton et al. 2015 propose: the paper has none.

    Args:
        student: [B, C] logits.
        teacher: [B, C] logits.
        temperature: tau > 0.

    Returns:
        Scalar >= 0; the teacher's mean entropy where both agree.

    Raises:
        ValueError: shapes that do not fit.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"Logits {list(student.shape)} and {list(teacher.shape)} do not fit.")
    targets = (teacher / temperature).softmax(dim=1)
    return -(targets * (student / temperature).log_softmax(dim=1)).sum() / max(1, len(student))
