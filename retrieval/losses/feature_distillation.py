"""Distillation of features: a student's embeddings lie as a frozen teacher's do.

Each embedding as the teacher's: cosine_term, as in Romero et al., "FitNets", ICLR 2015, equation 3, on the unit sphere
(https://arxiv.org/abs/1412.6550). The similarities among them as among the teacher's: similarity_term, after Tung and
Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, equations 2 to 4 (https://arxiv.org/abs/1907.09682); in
place of the rows of dot products, normalised, cosines are compared, and an embedding's with itself is left out.

Not in the table of losses, as a teacher's embeddings are no view of a batch: they get no gradient, and may have another
width.
"""

from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from retrieval.losses.off_diagonal import off_diagonal
from retrieval.losses.precision import full_precision


@full_precision
def cosine_term(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over rows of 1 - cos(student, teacher).

    Args:
        student: [B, D], of any length.
        teacher: [B, D], of any length.

    Returns:
        Scalar in [0, 2]; 0 with a gradient of 0 where there are no rows.

    Raises:
        ValueError: shapes that do not fit; project the student onto the teacher's width first.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"Embeddings {list(student.shape)} and {list(teacher.shape)} do not fit.")
    return (1 - cosine_similarity(student, teacher, dim=1, eps=1e-12)).sum() / max(1, len(student))


@full_precision
def similarity_term(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over pairs of rows i != j of (cos(student_i, student_j) - cos(teacher_i, teacher_j))².

    Args:
        student: [B, D], of any length.
        teacher: [B, T], of any length; T may be another width.

    Returns:
        Scalar in [0, 4]; 0 with a gradient of 0 where there is no pair.

    Raises:
        ValueError: the numbers of rows differ.
    """
    if len(student) != len(teacher):
        raise ValueError(f"There are {len(student)} embeddings of the student and {len(teacher)} of the teacher.")
    if len(student) < 2:
        return student.sum() * 0
    one, other = normalize(student, dim=1, eps=1e-12), normalize(teacher, dim=1, eps=1e-12)
    return off_diagonal(one @ one.T - other @ other.T).square().mean()
