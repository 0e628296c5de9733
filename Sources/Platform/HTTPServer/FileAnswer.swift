import Formats

/// A private file as it is answered.
public struct FileAnswer: Sendable {
    public let file: ReadableFile
    /// Its media type.
    public let type: String
    /// What the receiver's machine is told to call it.
    public let name: String
    /// Its strong entity tag, without quotes.
    public let tag: String

    public init(_ file: ReadableFile, type: String, name: String, tag: String) {
        self.file = file
        self.type = type
        self.name = name
        self.tag = tag
    }

    /// The whole file, or the part that the request's `Range` asks for: 200, 206, or 416 when it begins behind the end. A range that is meant
    /// for another file (`If-Range`) is overlooked.
    public func response(to request: HTTPRequest) -> HTTPResponse {
        response(Self.mayServeRange(request, tag: tag) ? ByteRange(request.headers["range"], size: file.size) : .whole)
    }

    /// Never kept by anybody on the way, never shown as anything but a file.
    public func response(_ range: ByteRange) -> HTTPResponse {
        var response: HTTPResponse
        switch range {
        case .whole: response = HTTPResponse(status: 200, file: FilePiece(file))
        case .part(let first, let count):
            response = HTTPResponse(status: 206, file: FilePiece(file, offset: first, count: count))
            response.headers["Content-Range"] = "bytes \(first)-\(first + count - 1)/\(file.size)"
        case .unsatisfiable:
            response = HTTPResponse.problem(416, "Range not satisfiable", detail: "the file has \(file.size) bytes")
            response.headers["Content-Range"] = "bytes */\(file.size)"
        }
        if response.file != nil {
            response.headers["Content-Type"] = type
            response.headers["Content-Disposition"] = ContentDisposition.attachment(name)
            response.headers["ETag"] = "\"\(tag)\""
            // Whatever the type says, a browser runs nothing of it.
            response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
        }
        response.headers["Accept-Ranges"] = "bytes"
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
    }

    private static func mayServeRange(_ request: HTTPRequest, tag: String) -> Bool {
        // Two of them may mean anything.
        guard request.headers.values("range").count == 1 else { return false }
        return request.headers["if-range"].map { $0 == "\"\(tag)\"" } ?? true
    }
}
