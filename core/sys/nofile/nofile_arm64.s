#include "textflag.h"

// func getrlimit(l *limit) int: prlimit64(0, RLIMIT_NOFILE, NULL, l)
TEXT ·getrlimit(SB), NOSPLIT, $0-16
	MOVD	$261, R8
	MOVD	$0, R0
	MOVD	$7, R1
	MOVD	$0, R2
	MOVD	l+0(FP), R3
	SVC
	MOVD	R0, ret+8(FP)
	RET
