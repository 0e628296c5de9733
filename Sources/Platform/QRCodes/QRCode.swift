import CPNG
import CQREncode

#if canImport(Glibc)
    import Glibc
#endif

/// A QR code (ISO/IEC 18004) of a text, at error correction level M: an eighth of it may be dirty or covered.
public struct QRCode: Sendable, Equatable {
    /// Light squares around it, as the standard asks.
    public static let margin = 4
    /// The longest text, in UTF-8: more than any screen shows readably.
    public static let lengthMax = 1000

    /// Squares on a side, without the margin.
    public let width: Int
    /// Row by row, true where it is dark.
    let squares: [Bool]

    /// Nil for an empty text, one with a NUL in it, and one longer than ``lengthMax``.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard (1...Self.lengthMax).contains(bytes.count), !bytes.contains(0) else { return nil }
        guard let code = QRcode_encodeData(Int32(bytes.count), bytes, 0, QR_ECLEVEL_M) else { return nil }
        defer { QRcode_free(code) }
        width = Int(code.pointee.width)
        guard let data = code.pointee.data else { return nil }
        // The lowest bit is the colour; the others say what a square is there for.
        squares = UnsafeBufferPointer(start: data, count: width * width).map { $0 & 1 == 1 }
    }

    public func isDark(_ x: Int, _ y: Int) -> Bool { squares[y * width + x] }

    /// A picture that any size of screen or paper may show.
    public var svg: String {
        let side = width + 2 * Self.margin
        var path = ""
        for y in 0..<width {
            var x = 0
            while x < width {
                guard isDark(x, y) else {
                    x += 1
                    continue
                }
                let start = x
                while x < width, isDark(x, y) { x += 1 }
                path += "M\(start + Self.margin) \(y + Self.margin)h\(x - start)v1h-\(x - start)z"
            }
        }
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(side) \(side)" shape-rendering="crispEdges">\
            <rect width="\(side)" height="\(side)" fill="#fff"/><path d="\(path)" fill="#000"/></svg>

            """
    }

    /// A picture of dots.
    /// - Parameter scale: dots on a side of a square, 1…40.
    /// - Returns: nil when there is no memory for it.
    public func png(scale: Int) -> [UInt8]? {
        precondition((1...40).contains(scale), "a square has 1 to 40 dots on a side")
        let side = (width + 2 * Self.margin) * scale
        var dots = [UInt8](repeating: 255, count: side * side)
        for y in 0..<width {
            for x in 0..<width where isDark(x, y) {
                for row in 0..<scale {
                    let start = ((y + Self.margin) * scale + row) * side + (x + Self.margin) * scale
                    for dot in start..<start + scale { dots[dot] = 0 }
                }
            }
        }
        // Never larger than the dots themselves with what a file has around them.
        var size = dots.count + 4096
        var file = [UInt8](repeating: 0, count: size)
        guard quittance_png_write_grey(dots, UInt32(side), UInt32(side), &file, &size) != 0 else { return nil }
        file.removeLast(file.count - size)
        return file
    }
}
