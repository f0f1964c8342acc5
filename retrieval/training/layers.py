"""The layers of any backbone in order, for rates that fall towards the input."""

from torch import nn

from retrieval.models.levels import Levels


def layers_of(backbone: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of ``backbone`` grouped into layers, from the input to the output; each parameter once.

    A layer is a direct child, or a child's child where the child is a mere sequence (``nn.Sequential``,
    ``nn.ModuleList``), in the order of their registration, which in timm's backbones is the order of the data.
    Parameters of the backbone itself (position embeddings) belong to the first layer, and a lone normalisation layer
    to the layer before it. Children without parameters are no layers.
    """
    layers: list[list[nn.Parameter]] = []
    seen: set[int] = set()
    own = _new(list(backbone.parameters(recurse=False)), seen)
    for part in _parts(backbone):
        parameters = _new(list(part.parameters()), seen)
        if not parameters:
            continue
        if layers and _is_normalisation(part):
            layers[-1] += parameters
        else:
            layers.append(parameters)
    if own:
        layers = [own + layers[0], *layers[1:]] if layers else [own]
    return layers


def _parts(backbone: nn.Module) -> list[nn.Module]:
    if isinstance(backbone, Levels):
        backbone = backbone.body
    parts: list[nn.Module] = []
    for child in backbone.children():
        parts += list(child.children()) if type(child) in (nn.Sequential, nn.ModuleList) else [child]
    return parts


def _is_normalisation(part: nn.Module) -> bool:
    """Whether all weights in it are one axis long: scales and shifts."""
    return all(parameter.ndim <= 1 for parameter in part.parameters())


def _new(parameters: list[nn.Parameter], seen: set[int]) -> list[nn.Parameter]:
    fresh = [parameter for parameter in parameters if id(parameter) not in seen]
    seen.update(id(parameter) for parameter in fresh)
    return fresh
