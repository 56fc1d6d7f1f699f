package redisvault

// The scripts run in the server one at a time, each whole or not at all.
//
// Of a script's writes the first can fail, where memory is full, and the further
// ones cannot; and what goes to the append-only file and to replicas is one
// transaction. A row is one command besides.
const (
	// insertScript answers with the row that stands, or with insertTaken or
	// insertDone. Its keys are those of the index, the token and the count; its
	// arguments the stored row and the index.
	insertScript = `local row = redis.call('GET', KEYS[1])
if row then return row end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('INCR', KEYS[3])
redis.call('MSET', KEYS[1], ARGV[1], KEYS[2], ARGV[2])
return 1`

	// deleteScript has the same keys; its arguments are the index that the token
	// had when it was looked up, and what its stored row begins with.
	deleteScript = `if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local row = redis.call('GET', KEYS[1])
if not row or string.sub(row, 1, #ARGV[2]) ~= ARGV[2] then
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('DECR', KEYS[3])
return 1`

	// The names under which a server knows the scripts: their SHA-1, which is
	// not computed here, since a program in FIPS mode may not.
	insertSHA = "8f38c03bb782e50d8f337f076901a7bea53c6729"
	deleteSHA = "a689172bcef50cec9b6fe1c450fa9859f29bd22a"

	insertTaken = 0
	insertDone  = 1
)
