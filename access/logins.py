"""How often somebody may try to log in, counted in Redis for all web processes. Nobody is kept out because Redis is away."""

from __future__ import annotations

import hashlib
import logging
from ipaddress import ip_address, ip_network

from django.conf import settings
from redis.exceptions import RedisError

from access.counting import shared

logger = logging.getLogger(__name__)

#: So many times what one name may be tried from one address: all names from one address, and one name from everywhere.
FACTOR = 20
#: How long a name that was let in from an address is kept in mind there.
KNOWN_S = 30 * 24 * 60 * 60
#: Whoever has one address of IPv6 has a whole network of them.
IPV6_PREFIX = 64


def may_try(name: str, address: str) -> bool:
    """Count an attempt, and say whether its password is to be looked at.

    It is counted before it is looked at: of many at once, no more are looked at than of many in turn.
    """
    tries = settings.AGENTPLATFORM_LOGIN_TRIES
    if not tries:
        return True
    who, where = _digest(name), _digest(_network(address))
    counters = [f"logins:{who}:{where}", f"logins:{where}", f"logins:{who}"]
    try:
        with shared().pipeline(transaction=False) as pipe:
            for counter in counters:
                # The first one starts the clock, and no further one turns it back.
                pipe.set(counter, 0, ex=settings.AGENTPLATFORM_LOGIN_WAIT_S, nx=True)
                pipe.incr(counter)
            pipe.exists(_known(who, where))
            answers = pipe.execute()
    except (RedisError, OSError):
        logger.warning("Logins are not counted: Redis does not answer")
        return True
    here, from_there, of_name, is_known = answers[1], answers[3], answers[5], answers[6]
    # Otherwise anybody could keep out whoever he knows the name of.
    is_crowded = not is_known and max(from_there, of_name) > tries * FACTOR
    return here <= tries and not is_crowded


def succeeded(name: str, address: str) -> None:
    """Forget the attempts before, and keep in mind from where this name was let in."""
    who, where = _digest(name), _digest(_network(address))
    try:
        with shared().pipeline(transaction=False) as pipe:
            pipe.delete(f"logins:{who}:{where}")
            pipe.set(_known(who, where), 1, ex=KNOWN_S)
            pipe.execute()
    except (RedisError, OSError):
        logger.warning("A login is not kept in mind: Redis does not answer")


def _known(who: str, where: str) -> str:
    return f"logins:known:{who}:{where}"


def _network(address: str) -> str:
    try:
        there = ip_address(address)
    except ValueError:
        return address
    if there.version == 4:
        return address
    return str(there.ipv4_mapped or ip_network((there, IPV6_PREFIX), strict=False))


def _digest(text: str) -> str:
    # Whoever reads Redis finds no names there, and a name may be of any length.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
