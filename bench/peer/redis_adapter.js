// Decides how the peer's records lie in Redis: one JSON text per record that expires with it, beside small indexes by grant, session and user code.

const OF_A_GRANT = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest']);
const USED_ONCE = new Set(['AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest']);

// The adapter's verbs are those that oidc-provider documents; every one is one trip to Redis where that is possible.
export function makeAdapter(redis) {
  return class RedisAdapter {
    constructor(model) {
      this.model = model;
      this.isUsedOnce = USED_ONCE.has(model);
    }

    key(id) {
      return `${this.model}:${id}`;
    }

    async upsert(id, payload, expiresIn) {
      const key = this.key(id);
      const trip = redis.pipeline();
      const text = JSON.stringify(payload);
      if (this.isUsedOnce) {
        trip.hset(key, { payload: text });
        if (expiresIn) trip.expire(key, expiresIn);
      } else if (expiresIn) {
        trip.set(key, text, 'EX', expiresIn);
      } else {
        trip.set(key, text);
      }
      if (OF_A_GRANT.has(this.model) && payload.grantId) {
        const members = `grant:${payload.grantId}`;
        trip.rpush(members, key);
        if (expiresIn) trip.expire(members, expiresIn, 'GT').expire(members, expiresIn, 'NX');
      }
      if (payload.userCode) trip.set(`userCode:${payload.userCode}`, id, 'EX', expiresIn);
      if (payload.uid) trip.set(`uid:${payload.uid}`, id, 'EX', expiresIn);
      await trip.exec();
    }

    async find(id) {
      if (!this.isUsedOnce) {
        const text = await redis.get(this.key(id));
        return text ? JSON.parse(text) : undefined;
      }
      const { payload, consumed } = await redis.hgetall(this.key(id));
      if (!payload) return undefined;
      return consumed ? { ...JSON.parse(payload), consumed: Number(consumed) } : JSON.parse(payload);
    }

    async findByUid(uid) {
      const id = await redis.get(`uid:${uid}`);
      return id ? this.find(id) : undefined;
    }

    async findByUserCode(userCode) {
      const id = await redis.get(`userCode:${userCode}`);
      return id ? this.find(id) : undefined;
    }

    async consume(id) {
      await redis.hset(this.key(id), 'consumed', Math.floor(Date.now() / 1000));
    }

    async destroy(id) {
      await redis.del(this.key(id));
    }

    async revokeByGrantId(grantId) {
      const members = await redis.lrange(`grant:${grantId}`, 0, -1);
      await redis.del(...members, `grant:${grantId}`);
    }
  };
}
