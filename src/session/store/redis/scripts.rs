//! The steps that must be atomic, as Lua scripts, each for one key.

use std::sync::LazyLock;

/// A script, and the hash that names it at a server that has it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) source: String,
    pub(super) hash: String,
}

impl Script {
    fn new(body: &str) -> Self {
        let source = format!("{PRELUDE}{body}");
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash }
    }
}

/// `later` compares two numbers of 8 bytes; Lua's own `<` goes by the server's locale, and
/// its numbers have 53 bits. `head` gives a record's revision, last use, expiry and owner,
/// `nil` if there is no key, and `false` if the value is not a record of this version.
const PRELUDE: &str = r"
local function later(a, b)
  for i = 1, 8 do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x > y end
  end
  return false
end
local function head(key)
  local value = redis.call('GETRANGE', key, 0, 40)
  if #value == 0 then return nil end
  if #value < 41 or value:byte(1) ~= 1 then return false end
  return {value:sub(2, 9), value:sub(10, 17), value:sub(18, 25), value:sub(26, 41)}
end
local function keep(key, ttl)
  if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
end
";

/// Value, now, time to live. 1 if it is stored, 0 if the key is taken.
pub(super) static CREATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local old = head(KEYS[1])
if old == false or (old and later(old[3], ARGV[2])) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
",
    )
});

/// Version and next revision, tail, expected revision, last use, expiry, now, time to live,
/// channel, message. The first value is the outcome: 0 ended, 1 done, then the former owner
/// and the expiry in force; 2 changed, then the value; 3 not a record.
pub(super) static UPDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local old = head(KEYS[1])
if old == nil then return {0} end
if old == false then return {3} end
if not later(old[3], ARGV[6]) then return {0} end
if old[1] ~= ARGV[3] then return {2, redis.call('GET', KEYS[1])} end
local used, expires = ARGV[4], ARGV[5]
if later(old[2], used) then used = old[2] end
if later(old[3], expires) then expires = old[3] end
local ttl = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[7]))
redis.call('SET', KEYS[1], ARGV[1] .. used .. expires .. ARGV[2], 'PX', string.format('%.0f', ttl))
redis.call('PUBLISH', ARGV[8], ARGV[9])
return {1, old[4], expires}
",
    )
});

/// Last use, expiry, now, time to live. The owner, or nothing if there is no session.
pub(super) static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local old = head(KEYS[1])
if not old or not later(old[3], ARGV[3]) then return false end
local used, expires = old[2], old[3]
if later(ARGV[1], used) then used = ARGV[1] end
if later(ARGV[2], expires) then expires = ARGV[2] end
redis.call('SETRANGE', KEYS[1], 9, used .. expires)
keep(KEYS[1], ARGV[4])
return old[4]
",
    )
});

/// Channel, message. Nothing if there was no key, else the owner if that is known. Whatever
/// is under the key is removed.
pub(super) static END: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local owner = ''
if redis.call('TYPE', KEYS[1]).ok == 'string' then
  local old = head(KEYS[1])
  if old then owner = old[4] end
end
if redis.call('DEL', KEYS[1]) == 0 then return false end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return owner
",
    )
});

/// Member, expiry, time to live, and the expiry before which members are dropped. Neither
/// the member's expiry nor the key's time to live is lowered.
pub(super) static INDEX: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[4])
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) < tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
keep(KEYS[1], ARGV[3])
return 1
",
    )
});
