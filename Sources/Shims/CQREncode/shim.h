// libqrencode: the dark and light squares of a QR code.
#ifndef QUITTANCE_CQRENCODE_SHIM_H
#define QUITTANCE_CQRENCODE_SHIM_H
#include <qrencode.h>
#endif
