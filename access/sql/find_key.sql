-- Return the good key with this digest, or with this digest until a moment that is still to come, and its owner.
-- Safe: it only reads, and by indexes: one by each kind of digest.
SELECT key.id, key.owner_id, key.name, key.prefix, key.old_until, key.scopes, key.graph_id, key.networks, key.expires_at,
       key.revoked_at, key.last_used_at, key.created_at,
       owner.id, owner.is_superuser, owner.username, owner.is_staff, owner.is_active
FROM access_apikey AS key
JOIN auth_user AS owner ON owner.id = key.owner_id
WHERE (key.digest = %(digest)s OR (key.old_digest = %(digest)s AND key.old_digest <> '' AND key.old_until > %(now)s))
  AND (key.expires_at IS NULL OR key.expires_at > %(now)s)
  AND key.revoked_at IS NULL
  AND owner.is_active
