/// The kinds of file that are taken from people, told by what is in them and never by what they are called.
public enum FileKind: String, Sendable, CaseIterable {
    case pdf, docx, xlsx, png, jpeg

    public var contentType: String {
        switch self {
        case .pdf: "application/pdf"
        case .docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        case .xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        case .png: "image/png"
        case .jpeg: "image/jpeg"
        }
    }

    /// What a name of such a file ends with, without the dot.
    public var fileExtension: String { self == .jpeg ? "jpg" : rawValue }
}

/// Tells the kind of a file that comes in pieces: its first bytes, and its last ones, where a ZIP archive lists what is in it.
public struct FileSniffer: Sendable {
    private static let headLength = 16
    /// The list of a Word document has some kilobytes; one whose list is longer is taken for none.
    private static let tailLength = 256 * 1024

    private var head: [UInt8] = []
    private var tail: [UInt8] = []
    public private(set) var size: Int64 = 0

    public init() {}

    public mutating func receive(_ bytes: [UInt8]) {
        if head.count < Self.headLength { head += bytes.prefix(Self.headLength - head.count) }
        size += Int64(bytes.count)
        if bytes.count >= Self.tailLength {
            tail = Array(bytes.suffix(Self.tailLength))
        } else {
            tail += bytes
            // Cut now and then, not with each piece.
            if tail.count > 2 * Self.tailLength { tail.removeFirst(tail.count - Self.tailLength) }
        }
    }

    /// The kind of a whole file; nil for every other kind, and for a file that was cut off.
    public var kind: FileKind? {
        if head.starts(with: Array("%PDF-".utf8)) { return Self.last("%%EOF", in: tail.suffix(1024)) == nil ? nil : .pdf }
        if head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return Self.last("IEND", in: tail.suffix(12)) == nil ? nil : .png }
        if head.starts(with: [0xFF, 0xD8, 0xFF]) { return Self.last([0xFF, 0xD9], in: tail.suffix(1024)) == nil ? nil : .jpeg }
        if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) { return officeKind }
        return nil
    }

    // MARK: Office documents

    /// A document whose macros would run is another kind, and none of ours.
    private var officeKind: FileKind? {
        guard let names = archiveNames, names.contains("[Content_Types].xml"), !names.contains(where: { $0.hasSuffix("vbaProject.bin") }) else {
            return nil
        }
        if names.contains("word/document.xml") { return .docx }
        return names.contains("xl/workbook.xml") ? .xlsx : nil
    }

    /// What the archive's list at its end names; nil when there is no whole list.
    private var archiveNames: Set<String>? {
        let bytes = tail.suffix(Self.tailLength)
        guard let end = Self.last([0x50, 0x4B, 0x05, 0x06], in: bytes), bytes.endIndex - end >= 22 else { return nil }
        let length = Int(Self.number(bytes, at: end + 12, bytes: 4))
        let count = Int(Self.number(bytes, at: end + 10, bytes: 2))
        guard length <= end - bytes.startIndex else { return nil }
        var names: Set<String> = []
        var at = end - length
        for _ in 0..<count {
            guard end - at >= 46, bytes[at..<at + 4].elementsEqual([0x50, 0x4B, 0x01, 0x02]) else { return nil }
            let name = Int(Self.number(bytes, at: at + 28, bytes: 2))
            let rest = Int(Self.number(bytes, at: at + 30, bytes: 2)) + Int(Self.number(bytes, at: at + 32, bytes: 2))
            guard end - at >= 46 + name + rest else { return nil }
            names.insert(String(decoding: bytes[at + 46..<at + 46 + name], as: UTF8.self))
            at += 46 + name + rest
        }
        return names
    }

    /// A number written with its lowest byte first.
    private static func number(_ bytes: ArraySlice<UInt8>, at place: Int, bytes count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
    }

    private static func last(_ text: String, in bytes: ArraySlice<UInt8>) -> Int? { last(Array(text.utf8), in: bytes) }

    /// Where something stands last.
    private static func last(_ wanted: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        var at = bytes.endIndex - wanted.count
        while at >= bytes.startIndex {
            if bytes[at] == wanted[0], bytes[at..<at + wanted.count].elementsEqual(wanted) { return at }
            at -= 1
        }
        return nil
    }
}
