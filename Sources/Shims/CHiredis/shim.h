// hiredis: only its protocol reader and formatter; sockets are ours.
#ifndef QUITTANCE_CHIREDIS_SHIM_H
#define QUITTANCE_CHIREDIS_SHIM_H
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#endif
