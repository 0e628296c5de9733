import CPango
import Synchronization

/// pango, one user at a time: its fonts are shared by all documents of the process, and neither they nor their caches may be
/// used by two threads at once.
enum Typesetter {
    /// `@unchecked Sendable`: only reached through the mutex.
    private struct Fonts: @unchecked Sendable {
        let map: UnsafeMutableRawPointer
    }
    private static let fonts = Mutex<Fonts?>(nil)

    /// Runs `body` while nobody else uses pango.
    /// - Throws: ``TypesettingError`` when the machine has no fonts: pango would end the process.
    static func with<Result>(_ body: (_ fontMap: UnsafeMutableRawPointer) throws(TypesettingError) -> Result) throws(TypesettingError) -> Result {
        // The result stays with the caller's thread; the mutex would have it sent.
        var result: Result?
        try fonts.withLock { (fonts) throws(TypesettingError) -> Void in
            if fonts == nil {
                guard let map = quittance_font_map() else { throw TypesettingError(message: "pango has no fonts for cairo", isTransient: false) }
                guard quittance_font_families(map) > 0 else {
                    throw TypesettingError(message: "no font is installed (package fonts-dejavu-core)", isTransient: false)
                }
                fonts = Fonts(map: map)
            }
            guard let map = fonts?.map else { return }
            result = try body(map)
        }
        guard let result else { preconditionFailure("nothing was typeset") }
        return result
    }
}

/// Why a document could not be made.
public struct TypesettingError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String
    /// Only when the machine was short of memory.
    public let isTransient: Bool
    public var description: String { message }

    static func cairo(_ status: cairo_status_t) -> TypesettingError {
        let reason = cairo_status_to_string(status).map { String(cString: $0) } ?? "status \(status.rawValue)"
        return TypesettingError(message: "cairo: \(reason)", isTransient: status == CAIRO_STATUS_NO_MEMORY)
    }
}
