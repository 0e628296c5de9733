import Database
import Formats

/// A file that a customer handed in with the form.
public struct InquiryAttachment: Sendable, Equatable {
    public static let countMax = 10
    /// Bytes of one file, and of all of an inquiry.
    public static let sizeMax: Int64 = 10 << 20
    public static let allSizeMax: Int64 = 25 << 20

    public let inquiry: String
    public let number: Int64
    /// Its key where private objects are kept.
    public let path: String
    public let kind: FileKind
    public let fileName: String
    public let sha256: String
    public let size: Int64

    public static func of(inquiry: String, in connection: Connection) throws -> [InquiryAttachment] {
        try connection.query("SELECT * FROM drafts_attachments WHERE inquiry = $1 ORDER BY number", [.text(inquiry)]).compactMap { row in
            guard let kind = FileKind(rawValue: try row.text("kind")) else { return nil }
            return InquiryAttachment(
                inquiry: inquiry, number: try row.int("number"), path: try row.text("path"), kind: kind, fileName: try row.text("file_name"),
                sha256: try row.text("sha256"), size: try row.int("size"))
        }
    }

    /// Enters files that are stored already.
    static func add(_ files: [CheckedFile], to inquiry: String, nowMs: Int64, in connection: Connection) throws {
        guard files.count <= countMax else { throw InquiryError.invalid([.init(field: "documents", rule: "must be at most \(countMax) files")]) }
        guard files.reduce(0, { $0 + $1.size }) <= allSizeMax else {
            throw InquiryError.invalid([.init(field: "documents", rule: "must have at most \(allSizeMax >> 20) MB in all")])
        }
        for (offset, file) in files.enumerated() {
            try connection.execute(
                """
                INSERT INTO drafts_attachments (inquiry, number, path, kind, file_name, sha256, size, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                """,
                [
                    .text(inquiry), .int(offset + 1), .text(file.path), .text(file.kind.rawValue), .text(file.name.text), .text(file.sha256),
                    .integer(file.size), .integer(nowMs),
                ])
        }
    }
}
