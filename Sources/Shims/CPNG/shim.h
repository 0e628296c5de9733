// libpng's simplified interface. Its structure is made with memset and read by macros, which Swift cannot do.
#ifndef QUITTANCE_CPNG_SHIM_H
#define QUITTANCE_CPNG_SHIM_H
#include <png.h>
#include <string.h>

// Writes grey pixels, a byte each, as PNG into `memory`, which has room for `*size` bytes; `*size` is then what was written, or what would
// have been needed where there is no memory. 0 when it fails.
static inline int quittance_png_write_grey(
    const unsigned char *pixels, unsigned int width, unsigned int height, void *memory, size_t *size) {
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = height;
    image.format = PNG_FORMAT_GRAY;
    png_alloc_size_t count = *size;
    int done = png_image_write_to_memory(&image, memory, &count, 0, pixels, 0, NULL);
    *size = count;
    png_image_free(&image);
    return done;
}
#endif
