"""Reads a routes file into Routes: variables resolved, prices known, aliases and classifications consistent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from serving.addresses import is_web_address
from serving.models.marked import MarkedFile, Place, read_marked
from serving.models.prices import FIELDS, Price, PriceList, price_of
from serving.models.routes import GUIDES, ROLES, Deployment, Routes, reachable
from serving.models.shape import DeploymentShape, RoutesShape, shaped

VARIABLE: Final = "os.environ/"


def load_routes(path: Path, environ: Mapping[str, str]) -> Routes:
    """Raises SettingsError that names file, line, field and the mend."""
    file = read_marked(path)
    return routes_of(file, file.data, environ)


def routes_of(file: MarkedFile, data: Any, environ: Mapping[str, str], origin: str = "") -> Routes:
    """As `load_routes`, for data that was changed after reading; lines stay those of the file."""
    shape = shaped(file, data)
    reader = _Reader(file, environ, PriceList())
    deployments = tuple(reader.deployment(index, entry) for index, entry in enumerate(shape.model_list))
    aliases = tuple(dict.fromkeys(deployment.alias for deployment in deployments))
    _check_aliases(file, shape, aliases)
    _check_classification(file, shape)
    return Routes(
        deployments=deployments,
        roles=MappingProxyType({role: getattr(shape.agent.roles, role) or aliases[0] for role in ROLES}),
        classification=MappingProxyType({name: tuple(of) for name, of in shape.agent.classification.items()}),
        timeout_s=shape.agent.bounds.timeout_s,
        max_cost_usd=shape.agent.bounds.max_cost_usd,
        affinity=shape.agent.affinity,
        router_settings=MappingProxyType(shape.router_settings.model_dump(exclude_none=True)),
        notices=tuple(_free_of_charge(deployment) for deployment in deployments if deployment.price == _FREE),
        origin=origin or str(file.path),
    )


_FREE: Final = Price(0.0, 0.0, 0.0, 0.0)


def _free_of_charge(deployment: Deployment) -> str:
    return f"{deployment.model}: its price is given as 0, so the run's bound on money can't hold it"


@dataclass(frozen=True, slots=True)
class _Reader:
    file: MarkedFile
    environ: Mapping[str, str]
    prices: PriceList

    def deployment(self, index: int, entry: DeploymentShape) -> Deployment:
        place: Place = ("model_list", index, "litellm_params")
        raw = entry.litellm_params.model_dump(exclude_unset=True)
        params = {name: self._resolved(value, (*place, name)) for name, value in raw.items()}
        if params.get("api_base") and not is_web_address(params["api_base"]):
            mend = "begin it with http:// or https://, such as http://127.0.0.1:8000/v1"
            raise self.file.fault((*place, "api_base"), "it is no web address", mend)
        info = entry.model_info
        found = Deployment(
            id=f"{entry.model_name}#{index}",
            alias=entry.model_name,
            model=params["model"],
            price=self._price(entry, params["model"], place),
            params=MappingProxyType({name: value for name, value in params.items() if not name.startswith(FIELDS)}),
            where=self.file.where((*place, "model")),
            key_variable=_variable(raw.get("api_key")),
            cache_salt=info.cache_salt,
            response_schema=info.supports_response_schema,
            header=info.affinity_header,
        )
        if found.cache_salt and not (found.self_hosted and found.provider in ("hosted_vllm", "openai")):
            where = ("model_list", index, "model_info", "cache_salt")
            raise self.file.fault(where, "only a self-hosted vLLM takes it", "set api_base, or remove cache_salt")
        return found

    def _resolved(self, value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            return {name: self._resolved(item, (*place, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self._resolved(item, (*place, index)) for index, item in enumerate(value)]
        if not (name := _variable(value)):
            return value
        if not self.environ.get(name):
            raise self.file.fault(place, f"the variable {name} is not set", f"set {name}, or remove this deployment")
        return self.environ[name]

    def _price(self, entry: DeploymentShape, model: str, place: Place) -> Price:
        given = {
            name: value
            for source in (entry.model_info, entry.litellm_params)
            for name, value in source.model_dump(exclude_none=True).items()
            if name.startswith(FIELDS)
        }
        if given and price_of(given) is None:
            missing = FIELDS[0] if FIELDS[0] not in given else FIELDS[1]
            raise self.file.fault(place, f"{missing} is missing beside the prices given", "add it, in USD per token")
        price = price_of(given) or self.prices.price(entry.model_info.base_model or model)
        if price is None:
            mend = f"add {FIELDS[0]} and {FIELDS[1]} in USD"
            raise self.file.fault((*place, "model"), f'the price of "{model}" is unknown', mend)
        return price


def _variable(value: Any) -> str:
    return value[len(VARIABLE) :] if isinstance(value, str) and value.startswith(VARIABLE) else ""


def _check_aliases(file: MarkedFile, shape: RoutesShape, aliases: tuple[str, ...]) -> None:
    named: list[tuple[Place, str]] = [
        (("agent", "roles", role), alias) for role in ROLES if (alias := getattr(shape.agent.roles, role))
    ]
    for name, allowed in shape.agent.classification.items():
        named += [(("agent", "classification", name, index), alias) for index, alias in enumerate(allowed)]
    for guide in GUIDES:
        for index, rule in enumerate(getattr(shape.router_settings, guide)):
            place: Place = ("router_settings", guide, index)
            named += [((*place, source), source) for source in rule if source != "*"]
            named += [((*place, source), target) for source, targets in rule.items() for target in targets]
    named += [(("router_settings", "default_fallbacks"), alias) for alias in shape.router_settings.default_fallbacks]
    for where, alias in named:
        if alias not in aliases:
            raise file.fault(where, f'alias "{alias}" is not in model_list', f"known: {', '.join(aliases)}")


def _check_classification(file: MarkedFile, shape: RoutesShape) -> None:
    """A fallback must not carry data to where its class is not allowed."""
    settings = shape.router_settings.model_dump()
    for name, allowed in shape.agent.classification.items():
        for index, alias in enumerate(allowed):
            if astray := sorted(reachable(settings, alias).difference(allowed)):
                what = f'"{alias}" falls back to "{astray[0]}", which may not see {name} data'
                place = ("agent", "classification", name, index)
                raise file.fault(place, what, f'allow "{astray[0]}" here, or take it out of the fallbacks')
