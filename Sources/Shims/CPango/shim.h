// cairo and pango: PDF pages and shaped text. The *_object helpers hide GObject's casts, which Swift cannot import.
#ifndef QUITTANCE_CPANGO_SHIM_H
#define QUITTANCE_CPANGO_SHIM_H
#include <cairo.h>
#include <cairo-pdf.h>
#include <pango/pangocairo.h>

static inline void quittance_free_layout(PangoLayout *layout) { g_object_unref(layout); }
#endif
