package h1

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// The place of a name in the table is its own.
func TestTheHashOfNamesIsPerfect(t *testing.T) {
	if perfect(nameFactor) {
		return
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 10_000_000 {
		if f := rnd.Uint64() | 1; perfect(f) {
			t.Fatalf("two names share a slot: %#x would be a good nameFactor", f)
		}
	}
	t.Fatal("two names share a slot: a greater nameBits may help")
}

func perfect(factor uint64) bool {
	var taken [nameSlots]bool
	for _, info := range nameList[1:] {
		first, last := ends([]byte(info.text))
		slot := slotOf(first|foldBit, last|foldBit, len(info.text), factor)
		if taken[slot] {
			return false
		}
		taken[slot] = true
	}
	return true
}

func TestEveryListedNameIsFoundInAnyCase(t *testing.T) {
	for i, info := range nameList {
		if i == 0 {
			continue
		}
		name, lower := []byte(info.text), strings.ToLower(info.text)
		if !ValidName(name) || Name(i).String() != lower {
			t.Errorf("%s is no field name, or reads %q in lower case", name, Name(i).String())
		}
		for _, form := range [][]byte{name, []byte(lower), bytes.ToUpper(name)} {
			if NameOf(form) != Name(i) || NameOfString(string(form)) != Name(i) || LowerName(form) != lower {
				t.Errorf("%s is not found as %d", form, i)
			}
		}
		for _, near := range []string{lower + "x", "x" + lower, lower[1:], lower[:len(lower)-1]} {
			if n := NameOfString(near); n != NameOther && n.String() != near {
				t.Errorf("%s is taken for %s", near, n)
			}
		}
	}
	if NameOther.String() != "" || NameOfString("") != NameOther || NameOfString("x") != NameOther {
		t.Error("a name was made of nothing")
	}
}

// Folding sets a bit; every byte in the place of every letter shows that this takes
// no other text for a name.
func TestNoOtherByteFoldsIntoAName(t *testing.T) {
	for i, info := range nameList {
		lower := []byte(strings.ToLower(info.text))
		for at := range lower {
			b := bytes.Clone(lower)
			for c := range 256 {
				b[at] = byte(c)
				if same := NameOf(b) == Name(i); same != EqualFold(b, string(lower)) {
					t.Fatalf("%q as %s: %v", b, lower, same)
				}
			}
		}
	}
}

func TestRulesOfNames(t *testing.T) {
	for i := range NumNames {
		n := Name(i)
		rules := nameList[i].rules
		if rules&(hop|endToEnd) != 0 && !n.tracked() {
			t.Errorf("%s: a rule for Connection needs a tracked name", n)
		}
		if rules&hop != 0 && rules&noTrailer == 0 {
			t.Errorf("%s is for one connection only, and may be in trailers", n)
		}
		if n.ForbiddenInTrailers() != ForbiddenTrailer([]byte(n.String())) {
			t.Errorf("%s: two answers about trailers", n)
		}
	}
	if lastTracked > 64 {
		t.Errorf("%d tracked names, a NameSet holds 63", lastTracked-1)
	}
}

func TestASetHoldsOnlyWhatItTellsApart(t *testing.T) {
	if s := SetOf(NameHost, NameVia); s != NameHost.set()|NameVia.set() || SetOf() != 0 {
		t.Errorf("the set is %b", s)
	}
	for _, n := range []Name{NameOther, NameOf([]byte("etag"))} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q in a set stands for all names without a constant", n)
				}
			}()
			SetOf(n)
		}()
	}
}
