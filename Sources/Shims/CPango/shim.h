// cairo and pango: PDF pages and shaped text. The helpers hide GObject's casts, which Swift cannot import.
#ifndef QUITTANCE_CPANGO_SHIM_H
#define QUITTANCE_CPANGO_SHIM_H
#include <cairo.h>
#include <cairo-pdf.h>
#include <pango/pangocairo.h>

static inline void quittance_free_layout(PangoLayout *layout) { g_object_unref(layout); }
static inline void quittance_free_context(PangoContext *context) { g_object_unref(context); }

// Untyped, because the struct behind it is public in some versions of pango and opaque in others.
static inline void *quittance_font_map(void) { return pango_cairo_font_map_new(); }
static inline PangoContext *quittance_font_context(void *map) { return pango_font_map_create_context((PangoFontMap *)map); }
static inline int quittance_font_families(void *map) {
    PangoFontFamily **families = NULL;
    int count = 0;
    pango_font_map_list_families((PangoFontMap *)map, &families, &count);
    g_free(families);
    return count;
}
static const int quittance_pango_scale = PANGO_SCALE;
#endif
