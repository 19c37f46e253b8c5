#include "textflag.h"

// A prefetch never faults, whatever the address is.

// func fetch(l *List)
TEXT ·fetch(SB), NOSPLIT, $0-8
	MOVQ l+0(FP), SI
	MOVQ $20, DX       // maxSpans

span:
	MOVQ (SI), AX
	MOVQ AX, CX
	ANDQ $63, CX       // how many lines
	JZ   done
	ANDQ $~63, AX

lines:
	PREFETCHT0 (AX)
	ADDQ $64, AX
	DECQ CX
	JNZ  lines
	ADDQ $8, SI
	DECQ DX
	JNZ  span

done:
	RET

// func fetchList(l *List)
TEXT ·fetchList(SB), NOSPLIT, $0-8
	MOVQ l+0(FP), SI
	PREFETCHT0 (SI)
	PREFETCHT0 64(SI)
	PREFETCHT0 128(SI)
	RET
