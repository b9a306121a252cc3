"""Decides how transients live in Redis ≥ 7.0: one key an entry, time by the server, and no command is ever sent twice."""

import struct
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from idp.kernel.clock import Clock, Random
from idp.kernel.ids import encode_base64url
from idp.platform.transients import Counted, TransientsUnavailable, Versioned, check_key, check_step, check_ttl, check_value
from keys import Mac, Sealer, Unsealable, row_aad

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_BIRTH = "birth"
_VERSION = struct.Struct(">Q")

REPLACE = """
local stored = redis.call('GET', KEYS[1])
if not stored or string.sub(stored, 1, 8) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""
COUNT = """
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {sum, redis.call('PEXPIRETIME', KEYS[1])}
"""
# The end of the window is its name: what was counted in another one is not touched, and none is begun.
UNCOUNT = """
if redis.call('PEXPIRETIME', KEYS[1]) ~= tonumber(ARGV[2]) then return 0 end
local left = tonumber(redis.call('GET', KEYS[1])) - tonumber(ARGV[1])
redis.call('SET', KEYS[1], left > 0 and left or 0, 'KEEPTTL')
return 1
"""

P = ParamSpec("P")
R = TypeVar("R")


def _name_failure(verb: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    @wraps(verb)
    async def run(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return await verb(*arguments, **named)
        except (RedisError, OSError, TimeoutError) as error:
            raise TransientsUnavailable("Redis did not answer") from error

    return run


def connect_redis(url: str, *, connections: int = 32, timeout: float = 2.0) -> Redis:
    """Return a client that waits for a connection when all are in use (seconds of ``timeout`` for everything).

    It never repeats a command by itself: a take or a count sent twice would be a wrong answer.
    """
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    )


class RedisTransients:
    """The ``Transients`` of a larger installation. Redis must not evict: ``maxmemory-policy noeviction``."""

    def __init__(self, redis: Redis, sealer: Sealer, names: Mac, clock: Clock, random: Random, *, prefix: str = "idp") -> None:
        self._redis = redis
        self._sealer = sealer
        self._names = names
        self._clock = clock
        self._random = random
        self._prefix = prefix
        self._replace = redis.register_script(REPLACE)
        self._count = redis.register_script(COUNT)
        self._uncount = redis.register_script(UNCOUNT)

    @property
    def _birth_key(self) -> str:
        # Asked for each time: under a new key nothing old is found, so the store is newly born then too.
        return self._name(_BIRTH, "")[0]

    def _name(self, kind: str, key: str) -> tuple[str, bytes]:
        """Return the entry's key in Redis and the data that its value is sealed for."""
        name = self._names.compute(check_key(kind, key))
        return f"{self._prefix}:{kind}:{encode_base64url(name)}", row_aad("transients", kind, name)

    @_name_failure
    async def put(self, kind: str, key: str, value: bytes, ttl: float) -> None:
        """See ``Transients.put``."""
        check_value(value)
        check_ttl(ttl)
        name, aad = self._name(kind, key)
        # A version begins at random, so a stale one never fits a value that was put again.
        version = int.from_bytes(self._random(6), "big")
        stored = _VERSION.pack(version) + self._sealer.seal(value, aad, self._random)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(self._birth_key, self._read_clock(), nx=True)
        pipeline.set(name, stored, px=_to_milliseconds(ttl))
        await pipeline.execute()

    @_name_failure
    async def get(self, kind: str, key: str) -> Versioned | None:
        """See ``Transients.get``."""
        name, aad = self._name(kind, key)
        stored = await self._redis.get(name)
        value = self._open(stored, aad)
        if value is None or not isinstance(stored, bytes):
            return None
        return Versioned(value, _VERSION.unpack_from(stored)[0])

    @_name_failure
    async def take(self, kind: str, key: str) -> bytes | None:
        """See ``Transients.take``."""
        name, aad = self._name(kind, key)
        return self._open(await self._redis.getdel(name), aad)

    @_name_failure
    async def replace(self, kind: str, key: str, value: bytes, version: int) -> bool:
        """See ``Transients.replace``."""
        check_value(value)
        name, aad = self._name(kind, key)
        stored = _VERSION.pack(version + 1) + self._sealer.seal(value, aad, self._random)
        return bool(await self._replace(keys=[name], args=[_VERSION.pack(version), stored]))

    @_name_failure
    async def add_once(self, kind: str, key: str, ttl: float) -> bool:
        """See ``Transients.add_once``."""
        check_ttl(ttl)
        return bool(await self._redis.set(self._name(kind, key)[0], b"1", px=_to_milliseconds(ttl), nx=True))

    @_name_failure
    async def count(self, kind: str, key: str, ttl: float, by: int = 1) -> Counted:
        """See ``Transients.count``."""
        check_ttl(ttl)
        check_step(by)
        number, expires_at = await self._count(keys=[self._name(kind, key)[0]], args=[by, _to_milliseconds(ttl)])
        return Counted(int(number), _EPOCH + int(expires_at) * _MILLISECOND)

    @_name_failure
    async def uncount(self, kind: str, key: str, counted: Counted, by: int = 1) -> None:
        """See ``Transients.uncount``."""
        check_step(by)
        await self._uncount(keys=[self._name(kind, key)[0]], args=[by, (counted.expires_at - _EPOCH) // _MILLISECOND])

    @_name_failure
    async def born_at(self) -> datetime:
        """See ``Transients.born_at``."""
        now = self._read_clock()
        stored = await self._redis.set(self._birth_key, now, nx=True, get=True)
        return _EPOCH + timedelta(microseconds=now if stored is None else int(stored))

    async def close(self) -> None:
        """Close the connections; nothing may be asked afterwards."""
        await self._redis.aclose()

    def _read_clock(self) -> int:
        return (self._clock() - _EPOCH) // timedelta(microseconds=1)

    def _open(self, stored: bytes | str | None, aad: bytes) -> bytes | None:
        if not isinstance(stored, bytes) or len(stored) < _VERSION.size:
            return None
        try:
            return self._sealer.open(stored[_VERSION.size :], aad)
        except Unsealable:
            return None


def _to_milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))
