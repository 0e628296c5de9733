import CPango

/// One paragraph or more, shaped and broken into lines. Lives within one ``Typesetter/with(_:)``.
struct TextLayout: ~Copyable {
    private let layout: OpaquePointer
    private let hasWidth: Bool
    private let alignment: TextStyle.Alignment

    init(_ text: String, width: Double?, style: TextStyle, context: OpaquePointer) {
        precondition(style.size > 0 && style.size < 10_000, "a font's size is in points")
        precondition(width ?? 1 > 0 && width ?? 1 < 100_000, "a text's width is in points")
        // pango aborts by itself when it is out of memory.
        guard let made = pango_layout_new(context) else { preconditionFailure("pango gave no layout") }
        layout = made
        hasWidth = width != nil
        alignment = style.alignment
        let scale = Double(quittance_pango_scale)

        let font = pango_font_description_new()
        pango_font_description_set_family(font, style.font)
        pango_font_description_set_absolute_size(font, style.size * scale)
        pango_font_description_set_weight(font, style.weight.pango)
        pango_font_description_set_style(font, style.isItalic ? PANGO_STYLE_ITALIC : PANGO_STYLE_NORMAL)
        pango_layout_set_font_description(layout, font)
        pango_font_description_free(font)

        pango_layout_set_width(layout, width.map { Int32(($0 * scale).rounded()) } ?? -1)
        pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR)
        pango_layout_set_alignment(layout, style.alignment.pango)
        pango_layout_set_justify(layout, style.alignment == .justified ? 1 : 0)
        pango_layout_set_line_spacing(layout, Float(style.lineSpacing))
        // No zero byte is left in it, so it ends where C thinks it does.
        pango_layout_set_text(layout, PrintableText.of(text), -1)
    }

    deinit { quittance_free_layout(layout) }

    var extent: TextExtent {
        var logical = PangoRectangle()
        pango_layout_get_extents(layout, nil, &logical)
        let scale = Double(quittance_pango_scale)
        return TextExtent(
            width: Double(logical.width) / scale, height: Double(logical.height) / scale, lines: Int(pango_layout_get_line_count(layout)))
    }

    /// Draws with the top at `y`. Without a width `x` is the text's beginning, middle or end, by its alignment.
    func draw(on canvas: OpaquePointer, x: Double, y: Double) {
        var left = x
        if !hasWidth {
            switch alignment {
            case .leading, .justified: break
            case .centre: left -= extent.width / 2
            case .trailing: left -= extent.width
            }
        }
        cairo_move_to(canvas, left, y)
        pango_cairo_show_layout(canvas, layout)
    }
}

extension TextStyle.Weight {
    fileprivate var pango: PangoWeight {
        switch self {
        case .regular: PANGO_WEIGHT_NORMAL
        case .medium: PANGO_WEIGHT_MEDIUM
        case .bold: PANGO_WEIGHT_BOLD
        }
    }
}

extension TextStyle.Alignment {
    /// pango turns left and right round for a paragraph that runs from right to left.
    fileprivate var pango: PangoAlignment {
        switch self {
        case .leading, .justified: PANGO_ALIGN_LEFT
        case .centre: PANGO_ALIGN_CENTER
        case .trailing: PANGO_ALIGN_RIGHT
        }
    }
}
