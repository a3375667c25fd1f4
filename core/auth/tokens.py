"""JSON Web Tokens: what clients present, and what they may rely on being inside."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import jwt

from core.db.records import User
from core.errors import Unauthenticated
from core.settings import Settings

TokenType = Literal["access", "refresh"]


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access and a refresh token; lifetimes in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_in: int


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a valid token says about its bearer."""

    user_id: UUID
    token_version: int
    expires_at: datetime


class Tokens:
    """Signs and checks tokens with the settings' secret, algorithm, issuer and audience."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.jwt_secret_key
        self._algorithm = settings.jwt_algorithm
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._lifetimes: dict[TokenType, timedelta] = {
            "access": timedelta(minutes=settings.access_token_expire_minutes),
            "refresh": timedelta(minutes=settings.refresh_token_expire_minutes),
        }

    def issue(self, user: User) -> TokenPair:
        """A fresh pair for `user`, dead as soon as the user's token version moves on."""
        return TokenPair(
            access_token=self._sign(user, "access"),
            refresh_token=self._sign(user, "refresh"),
            expires_in=int(self._lifetimes["access"].total_seconds()),
            refresh_expires_in=int(self._lifetimes["refresh"].total_seconds()),
        )

    def check(self, token: str, token_type: TokenType) -> TokenClaims:
        """The claims of a token of this type. Raises `Unauthenticated`."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[self._algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options={
                    "require": ["sub", "exp", "iat", "nbf", "iss"],
                    "verify_aud": self._audience is not None,
                },
            )
            if claims.get("type") != token_type:
                raise Unauthenticated("This token is of the wrong type")
            # A life that no calendar holds is none that we gave: it raises.
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
            return TokenClaims(UUID(claims["sub"]), int(claims["token_version"]), expires_at)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("This token has expired") from None
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, OverflowError, RecursionError):
            raise Unauthenticated("This token is not valid") from None

    def _sign(self, user: User, token_type: TokenType) -> str:
        issued_at = datetime.now(UTC)
        claims: dict[str, Any] = {
            "sub": str(user.id),
            "username": user.username,
            "type": token_type,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + self._lifetimes[token_type],
            "iss": self._issuer,
            "token_version": user.token_version,
            "roles": list(user.roles),
            "products": list(user.allowed_products),
            "agents": list(user.allowed_agents),
        }
        if self._audience is not None:
            claims["aud"] = self._audience
        return jwt.encode(claims, self._secret, algorithm=self._algorithm)
