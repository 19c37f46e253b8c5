package prefetch

import (
	"reflect"
	"unsafe"
)

// shortSlice is how much of a slice is named, in bytes.
const shortSlice = 8 * line

// Reach adds memory that p leads to through fields that others may not name: path is
// the names from field to field, where pointers, interfaces and slices on the way are
// followed. What the last one holds is added, by the size of its type; of a slice the
// beginning of its room, for what is short. It reports whether there is such a thing: who builds p may
// have changed what it is made of, and nothing is lost but time.
//
// It reads what it passes: nobody may be changing that.
func Reach(l *List, p any, path ...string) bool {
	v := follow(reflect.ValueOf(p))
	for _, name := range path {
		if v.Kind() != reflect.Struct {
			return false
		}
		v = follow(v.FieldByName(name))
	}
	switch {
	case !v.IsValid():
		return false
	case v.Kind() == reflect.Slice:
		l.Span(v.UnsafePointer(), min(uintptr(v.Cap())*v.Type().Elem().Size(), shortSlice))
	case v.CanAddr():
		l.Span(unsafe.Pointer(v.UnsafeAddr()), v.Type().Size())
	default:
		return false
	}
	return true
}

// follow goes through pointers and interfaces, to what they lead to in the end; the
// zero Value if that is nothing.
func follow(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	return v
}
