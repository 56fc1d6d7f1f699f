package mask_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/mask"
)

func TestIPPrefix(t *testing.T) {
	checkRule(t, must(t)(mask.IPPrefix(24, 48)), []textCase{
		{"IPv4", "203.0.113.77", "203.0.113.0"},
		{"IPv6", "2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"},
		{"IPv6 with a row left out", "2001:db8::7348", "2001:db8::"},
		{"capitals become small", "2001:DB8:ABCD::1", "2001:db8:abcd::"},
		{"a zone is left out", "fe80::1%eth0", "fe80::"},
		{"a mapped address is IPv4", "::ffff:203.0.113.77", "203.0.113.0"},
		{"a mapped address in hexadecimal", "::ffff:cb00:714d", "203.0.113.0"},
		{"6to4 shows no more of its IPv4 address", "2002:cb00:714d::1", "2002:cb00:7100::"},
		{"loopback", "::1", "::"},
		{"nothing but zeros", "::", "::"},
		{"three numbers", "203.0.113", refuses},
		{"five numbers", "203.0.113.77.1", refuses},
		{"a number of 256", "203.0.113.256", refuses},
		{"a zero in front", "203.0.113.077", refuses},
		{"an empty number", "203.0..77", refuses},
		{"a dot at the end", "203.0.113.77.", refuses},
		{"a dot in front", ".203.0.113.77", refuses},
		{"a port", "203.0.113.77:80", refuses},
		{"a prefix", "203.0.113.0/24", refuses},
		{"a zone of IPv4", "203.0.113.77%eth0", refuses},
		{"an empty zone", "fe80::1%", refuses},
		{"brackets", "[2001:db8::1]", refuses},
		{"seven groups", "2001:db8:85a3:8d3:1319:8a2e:370", refuses},
		{"nine groups", "2001:db8:85a3:8d3:1319:8a2e:370:7348:1", refuses},
		{"five digits in a group", "2001:0db80::1", refuses},
		{"two rows left out", "2001::85a3::1", refuses},
		{"three colons", "2001:::1", refuses},
		{"a colon at the end", "2001:db8:85a3:8d3:1319:8a2e:370:", refuses},
		{"a colon in front", ":2001:db8::1", refuses},
		{"a row of no groups left out", "1:2:3:4::5:6:7:8", refuses},
		{"IPv4 in the middle", "::203.0.113.77:1", refuses},
		{"IPv4 too early", "1:203.0.113.77", refuses},
		{"IPv4 too late", "1:2:3:4:5:6:7:203.0.113.77", refuses},
		{"a name", "example.com", refuses},
		{"a number", "3405803853", refuses},
		{"hexadecimal digits", "cafe", refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.IPNetwork(20, 40)), []textCase{
		{"IPv4", "203.0.113.77", "203.0.112.0/20"},
		{"IPv6", "2001:db8:85a3::1", "2001:db8:8500::/40"},
		{"a mapped address", "::ffff:203.0.113.77", "203.0.112.0/20"},
		{"6to4", "2002:cb00:714d::1", "2002:cb00:7000::/36"},
	})
	checkRule(t, must(t)(mask.IPPrefix(8, 127)), []textCase{
		{"NAT64 shows no more of its IPv4 address", "64:ff9b::203.0.113.77", "64:ff9b::cb00:0"},
		{"Teredo shows no more of its IPv4 address", "2001:0:1234:5678:8000:63bf:3fff:fdd2", "2001:0:1234:5678:8000:63bf:3f00:0"},
		{"an IPv4-compatible address neither", "::203.0.113.77", "::cb00:0"},
		{"all others keep all but the last bit", "2001:db8::ff", "2001:db8::fe"},
	})
	checkRule(t, must(t)(mask.IPPrefix(0, 0)), []textCase{
		{"no bits of IPv4", "203.0.113.77", "0.0.0.0"},
		{"no bits of IPv6", "2001:db8::1", "::"},
	})
}

// byNetip does what the rule does, by the package netip.
func byNetip(text string, v4, v6 int) (string, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return "", false
	}
	addr = addr.WithZone("").Unmap()
	bits := v4
	if addr.Is6() {
		bits = v6
		for _, p := range []string{"::/96", "64:ff9b::/96", "64:ff9b::/32", "2001::/32", "2002::/16"} {
			prefix := netip.MustParsePrefix(p)
			if prefix.Contains(addr) {
				begin := 96
				if prefix.Bits() == 16 {
					begin = 16
				}
				bits = min(bits, begin+v4)
			}
		}
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return "", false
	}
	return p.String(), true
}

func checkIP(t *testing.T, text string, v4, v6 int) {
	t.Helper()
	got, err := must(t)(mask.IPNetwork(v4, v6)).Append(nil, []byte(text))
	want, ok := byNetip(text, v4, v6)
	ok = ok && utf8.ValidString(text) // netip takes any bytes for a zone
	switch {
	case !ok && err == nil:
		t.Fatalf("%q becomes %q, and netip refuses it", text, got)
	case !ok && !errors.Is(err, mask.ErrValue) && !errors.Is(err, mask.ErrNotText):
		t.Fatalf("%q: %v", text, err)
	case ok && (err != nil || string(got) != want) && len(text) <= 128:
		t.Fatalf("%q with %d and %d bits becomes %q, %v, want %q", text, v4, v6, got, err, want)
	}
}

func TestIPAgainstNetip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var a [16]byte
		for i := range a {
			// Many zeros, so that rows of them occur at all places.
			if random.IntN(3) == 0 {
				a[i] = byte(random.Uint32())
			}
		}
		switch random.IntN(4) {
		case 0:
			a[0], a[1] = 0x20, 0x02
		case 1:
			copy(a[:], []byte{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})
		default:
		}
		addr := netip.AddrFrom16(a)
		for _, text := range []string{addr.String(), addr.StringExpanded(), netip.AddrFrom4([4]byte(a[:4])).String()} {
			checkIP(t, text, random.IntN(32), random.IntN(128))
		}
	}
}

func FuzzIP(f *testing.F) {
	for _, text := range []string{"203.0.113.77", "::ffff:1.2.3.4", "2001:db8::1", "1::2:3", "fe80::1%eth0", "::ffff:1.2.3.4%z", "1:2:3:4:5:6:7::", "64:ff9b:1::1.2.3.4"} {
		f.Add(text, uint8(24), uint8(48))
	}
	f.Fuzz(func(t *testing.T, text string, v4, v6 uint8) {
		checkIP(t, text, int(v4%32), int(v6%128))
	})
}
