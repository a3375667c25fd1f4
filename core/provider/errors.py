"""What can go wrong with a provider, each with a sentence for the user."""

from core.errors import ProviderError


class ProviderUnreachable(ProviderError):
    code = "PROVIDER_UNREACHABLE"

    def __init__(self) -> None:
        super().__init__("The LLM provider cannot be reached")


class ProviderTimeout(ProviderError):
    code = "PROVIDER_TIMEOUT"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The LLM provider was silent for {seconds:g} seconds")


class ProviderDisconnected(ProviderError):
    code = "PROVIDER_DISCONNECTED"

    def __init__(self) -> None:
        super().__init__("The LLM provider closed the connection before the answer was complete")


class ProviderRefused(ProviderError):
    """The provider answered with an error, in the body or in the stream."""

    code = "PROVIDER_REFUSED"

    def __init__(self, message: str, *, refuses_usage: bool = False) -> None:
        super().__init__(message)
        self.refuses_usage = refuses_usage


class ProviderNonsense(ProviderError):
    """The provider's answer cannot be understood."""

    code = "PROVIDER_NONSENSE"


class AnswerTooLarge(ProviderError):
    code = "ANSWER_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The answer of the LLM provider is larger than {limit} bytes")
