package arith

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// vectors are lists in public documents about the old network; the tags of the
// sources are those of docs/protocol.md. The magic is not in them.
var vectors = []struct {
	source string
	wire   string
	text   string
}{
	{"SC/SN probe cmd 27/28 body", "15",
		`{}`},
	{"SC cmd 6", "34AA09F8EE",
		`{0/0=1315, 0/5=5}`},
	{"SC cmd 6", "3271B3CFF7",
		`{0/0=61, 0/5=5}`},
	{"SC cmd 6", "331C6325FA",
		`{0/0=171, 0/5=5}`},
	{"SO cmd 6, source prints the list", "345259F81E",
		`{0/0=754, 0/5=5}`},
	{"SO cmd 6, source prints the list", "3240F64FF7",
		`{0/0=45, 0/5=5}`},
	{"SO cmd 6", "33E454D622",
		`{0/0=449, 0/5=5}`},
	{"SO cmd 6", "34D8F390EE",
		`{0/0=1959, 0/5=5}`},
	{"SO cmd 6", "3458066D9E",
		`{0/0=777, 0/5=5}`},
	{"SO cmd 6", "32627897F7",
		`{0/0=56, 0/5=5}`},
	{"SO cmd 6", "34DEB4CAEE",
		`{0/0=2038, 0/5=5}`},
	{"SC cmd 11; log prints 7917455", "B09F39BC4CDC",
		`{0/9=7917455}`},
	{"SC cmd 84; log prints 0x29F5, 0x1E", "6AC26A84C9C9",
		`{0/3=10741, 0/F=30}`},
	{"SO cmd 48", "2D03",
		`{0/0=2}`},
	{"SC cmd 30", "42F27A3B4CD70FD56B74B3CF2B9E97CB",
		`{0/1=2, 1/D=x6b74b3cf2b9e97cb, 0/10=37058}`},
	{"SC cmd 31; log prints 44, 802011429, 57947", "B125F2828AB3ACC0D002C0EC738F272CB070244EA004",
		`{0/B=44, 0/C=802011429, 0/10=57947, 2/11=78.36.112.176:1184, 6/21=[0,0]}`},
	{"SC cmd 14", "F6231FA2A11B8DC2B269DE555BC892",
		`{5/0={3/0="xot_iam", 0/1=0, 0/2=16}, 6/1=[16,11]}`},
	{"OS cmd 14", "F622E605FA670B8506D3733D17E88329FB",
		`{5/0={3/0="diego.farren", 0/1=0, 0/2=16}, 6/1=[16,11]}`},
	{"OS cmd 14", "F623084231E64FAD64B34B6B1E9876",
		`{5/0={3/0="echo123", 0/1=0, 0/2=16}, 6/1=[16,11]}`},
	{"SC cmd 8; log: slot 1315, 11 in slot, 5 addrs", "F8EBDB70BF5AAD25C1AC83F2E7446B2CDF1DD80C4B2492945F1843692F77CD0C31A51614C657C033",
		`{5/6={0/0=1315, 2/3=68.231.242.131:11371, 2/3=12.216.29.223:9291, 2/3=24.95.148.146:26947, 2/3=12.205.119.47:42289, 2/3=87.198.20.22:13248, 0/7=11}}`},
	{"OS cmd 13016", "E9B11F90D226EA51E0392418B6040863C018CE14AC3955CC8829C7C9B62651C6472F5F594946A6C03926064DD87A6C0E9997348A5E4EFD7E500BBB327F8376A3DD6FDCE693FFFF",
		`{3/4="wackelpudding24", 3/D="0/5.5.0.117/259/", 0/E=2366914332, 0/20=10, 5/21={0/0=0, 0/1=0, 0/2=0, 0/3=0, 0/4=0, 0/5=0, 0/6=0, 0/7=0, 0/8=0, 0/9=0, 0/A=0, 0/B=0, 0/C=0, 0/D=0, 0/E=0, 0/F=0, 0/10=0, 0/11=0}, 0/22=1344350665, 1/24=xa3dd6fdce693ffff, 0/28=24, 0/29=30, 0/2E=134, 0/2F=1}`},
	{"SC cmd 8", "F8EBDAD0DE12AD25C1AC764DE7450CF81977F245FBA2F084A9589CF326DD9644B00F8E34DED18C77",
		`{5/6={0/0=1237, 2/3=69.231.77.118:63500, 2/3=69.242.119.25:41723, 2/3=88.169.132.240:62364, 2/3=68.150.221.38:4016, 2/3=209.222.52.142:30604, 0/7=11}}`},
}

func TestVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.source, func(t *testing.T) {
			wire := unhex(t, "42"+tt.wire)
			l, err := Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.String(); got != tt.text {
				t.Errorf("Parse = %s\nwant    %s", got, tt.text)
			}
			if got, err := Append([]byte{0xaa}, l); err != nil || !bytes.Equal(got[1:], wire) || got[0] != 0xaa {
				t.Errorf("Append = %x, %v\nwant   aa%x", got, err, wire)
			}
		})
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
