#include "textflag.h"

// A prefetch never faults, whatever the address is.

// func fetch(l *List)
TEXT ·fetch(SB), NOSPLIT, $0-8
	MOVD l+0(FP), R0
	MOVD $20, R1       // maxSpans

span:
	MOVD (R0), R2
	ANDS $63, R2, R3   // how many lines
	BEQ  done
	BIC  $63, R2, R2

lines:
	PRFM (R2), PLDL1KEEP
	ADD  $64, R2
	SUBS $1, R3
	BNE  lines
	ADD  $8, R0
	SUBS $1, R1
	BNE  span

done:
	RET

// func fetchList(l *List)
TEXT ·fetchList(SB), NOSPLIT, $0-8
	MOVD l+0(FP), R0
	PRFM (R0), PLDL1KEEP
	PRFM 64(R0), PLDL1KEEP
	PRFM 128(R0), PLDL1KEEP
	RET
