import CPango
import Formats

/// A PDF that is drawn page by page, from top to bottom, in points (1/72 inch) from the upper left corner.
///
/// The same calls with the same metadata give the same bytes on the same machine: nothing in it comes from the clock. Scripts
/// that run from right to left, and fonts for whatever characters there are, are pango's matter.
public final class PDFDocument {
    public struct PageSize: Sendable, Equatable {
        public let width: Double
        public let height: Double

        public init(width: Double, height: Double) {
            precondition(width > 0 && height > 0, "a page has an area")
            self.width = width
            self.height = height
        }

        /// 210 mm by 297 mm.
        public static let a4 = PageSize(width: 210 / 25.4 * 72, height: 297 / 25.4 * 72)
    }

    public struct Metadata: Sendable {
        public var title: String
        public var author: String
        public var subject: String?
        /// Unix milliseconds; the file says whole seconds.
        public var createdMs: Int64
        /// Of the text, such as `fr`: some letters have forms by language.
        public var language: String

        public init(title: String, author: String, subject: String? = nil, createdMs: Int64, language: String) {
            self.title = title
            self.author = author
            self.subject = subject
            self.createdMs = createdMs
            self.language = language
        }
    }

    public let size: PageSize
    /// Pages begun so far.
    public private(set) var pageCount = 1

    /// Takes the bytes that cairo writes.
    private final class Sink {
        var bytes: [UInt8] = []
    }
    private let sink = Sink()
    private let surface: OpaquePointer
    private let canvas: OpaquePointer
    private let context: OpaquePointer
    private var isFinished = false

    public init(size: PageSize = .a4, metadata: Metadata) throws(TypesettingError) {
        self.size = size
        let target = Unmanaged.passUnretained(sink).toOpaque()
        let write: cairo_write_func_t = { target, bytes, count in
            guard let target else { return CAIRO_STATUS_WRITE_ERROR }
            let piece = UnsafeBufferPointer(start: bytes, count: Int(count))
            Unmanaged<Sink>.fromOpaque(target).takeUnretainedValue().bytes.append(contentsOf: piece)
            return CAIRO_STATUS_SUCCESS
        }
        // cairo never gives nil: a failed object answers every call and says its failure at the end.
        guard let surface = cairo_pdf_surface_create_for_stream(write, target, size.width, size.height), let canvas = cairo_create(surface) else {
            throw .cairo(CAIRO_STATUS_NO_MEMORY)
        }
        do throws(TypesettingError) {
            context = try Typesetter.with { (fontMap) throws(TypesettingError) in
                guard let context = quittance_font_context(fontMap) else { throw .cairo(CAIRO_STATUS_NO_MEMORY) }
                Self.prepare(context, canvas, language: metadata.language)
                return context
            }
        } catch {
            cairo_destroy(canvas)
            cairo_surface_finish(surface)
            cairo_surface_destroy(surface)
            throw error
        }
        self.surface = surface
        self.canvas = canvas
        describe(metadata)
    }

    deinit {
        // What pango has made may share fonts with other documents, so taking it down is its matter too.
        try? Typesetter.with { _ throws(TypesettingError) in
            quittance_free_context(context)
            cairo_destroy(canvas)
            cairo_surface_finish(surface)
            cairo_surface_destroy(surface)
        }
    }

    // MARK: Text

    /// Draws text with its top at `y` and gives its height.
    /// - Parameters:
    ///   - x: the left edge of the lines; without a width the text's beginning, middle or end, by its alignment.
    ///   - width: where lines are broken; without it only where the text says so.
    @discardableResult
    public func text(_ text: String, x: Double, y: Double, width: Double? = nil, style: TextStyle = TextStyle()) throws(TypesettingError) -> Double {
        precondition(!isFinished, "the document is finished")
        return try Typesetter.with { _ throws(TypesettingError) in
            let layout = TextLayout(text, width: width, style: style, context: context)
            setColour(style.colour)
            layout.draw(on: canvas, x: x, y: y)
            return layout.extent.height
        }
    }

    /// What a text would take, without drawing it.
    public func measure(_ text: String, width: Double? = nil, style: TextStyle = TextStyle()) throws(TypesettingError) -> TextExtent {
        try Typesetter.with { _ throws(TypesettingError) in TextLayout(text, width: width, style: style, context: context).extent }
    }

    // MARK: Shapes

    public func line(fromX: Double, fromY: Double, toX: Double, toY: Double, thickness: Double = 0.5, colour: Colour = .black) {
        precondition(!isFinished, "the document is finished")
        cairo_move_to(canvas, fromX, fromY)
        cairo_line_to(canvas, toX, toY)
        stroke(colour, thickness)
    }

    public func rectangle(
        x: Double, y: Double, width: Double, height: Double, fill: Colour? = nil, border: Colour? = nil, thickness: Double = 0.5
    ) {
        precondition(!isFinished, "the document is finished")
        cairo_rectangle(canvas, x, y, width, height)
        if let fill {
            setColour(fill)
            cairo_fill_preserve(canvas)
        }
        if let border { stroke(border, thickness) } else { cairo_new_path(canvas) }
    }

    private func stroke(_ colour: Colour, _ thickness: Double) {
        setColour(colour)
        cairo_set_line_width(canvas, thickness)
        cairo_stroke(canvas)
    }

    private func setColour(_ colour: Colour) { cairo_set_source_rgb(canvas, colour.red, colour.green, colour.blue) }

    // MARK: Pages

    /// Ends the page; what is drawn from now on is on the next.
    public func newPage() {
        precondition(!isFinished, "the document is finished")
        cairo_show_page(canvas)
        pageCount += 1
    }

    /// Ends the document and gives its bytes. Nothing can be drawn afterwards.
    public func finish() throws(TypesettingError) -> [UInt8] {
        precondition(!isFinished, "the document is finished")
        isFinished = true
        return try Typesetter.with { _ throws(TypesettingError) in
            cairo_show_page(canvas)
            // The fonts' subsets are made here.
            cairo_surface_finish(surface)
            for status in [cairo_status(canvas), cairo_surface_status(surface)] where status != CAIRO_STATUS_SUCCESS { throw .cairo(status) }
            return sink.bytes
        }
    }

    // MARK: Set-up

    private static func prepare(_ context: OpaquePointer, _ canvas: OpaquePointer, language: String) {
        // A page is not a screen: letters stand where they belong and not on pixels.
        let options = cairo_font_options_create()
        cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE)
        cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF)
        pango_cairo_context_set_font_options(context, options)
        cairo_font_options_destroy(options)
        pango_context_set_round_glyph_positions(context, 0)
        pango_context_set_language(context, pango_language_from_string(language))
        pango_cairo_update_context(canvas, context)
    }

    private func describe(_ metadata: Metadata) {
        cairo_pdf_surface_restrict_to_version(surface, CAIRO_PDF_VERSION_1_5)
        let created = "\(Timestamp.rfc3339(metadata.createdMs).prefix(19))Z"
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, PrintableText.of(metadata.title))
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_AUTHOR, PrintableText.of(metadata.author))
        if let subject = metadata.subject { cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_SUBJECT, PrintableText.of(subject)) }
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, "Quittance")
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, created)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_MOD_DATE, created)
    }
}
