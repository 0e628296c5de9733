import Formats

/// One part of a message: its content headers and its body in a form that every mail server carries.
enum MailBody {
    /// Text as quoted-printable, or as base64 where that is shorter to read for nobody but smaller for all (mostly non-Latin).
    static func appendText(_ text: String, subtype: String, to output: inout [UInt8]) {
        let bytes = withNetworkLineEnds(text)
        let foreign = bytes.count { $0 >= 0x80 }
        let usesBase64 = foreign * 4 > bytes.count
        MailHeaderText.append("Content-Type", ["text/\(subtype);", "charset=utf-8"], to: &output)
        MailHeaderText.append("Content-Transfer-Encoding", [usesBase64 ? "base64" : "quoted-printable"], to: &output)
        output += "\r\n".utf8
        if usesBase64 { appendBase64(bytes, to: &output) } else { appendQuotedPrintable(bytes, to: &output) }
    }

    static func appendAttachment(_ attachment: MailMessage.Attachment, to output: inout [UInt8]) {
        MailHeaderText.append("Content-Type", [attachment.contentType], to: &output)
        let parameters = MailHeaderText.parameter("filename", attachment.name)
        MailHeaderText.append("Content-Disposition", ["attachment"] + parameters, to: &output, separator: ";")
        MailHeaderText.append("Content-Transfer-Encoding", ["base64"], to: &output)
        output += "\r\n".utf8
        appendBase64(attachment.bytes, to: &output)
    }

    // MARK: Encodings

    /// In lines of 76 characters.
    static func appendBase64(_ bytes: [UInt8], to output: inout [UInt8]) {
        output.reserveCapacity(output.count + bytes.count * 3 / 2)
        // A body of nothing still has its line end: a boundary stands on a line of its own.
        if bytes.isEmpty { output += "\r\n".utf8 }
        for start in stride(from: 0, to: bytes.count, by: 57) {
            Base64.encode(Array(bytes[start..<min(start + 57, bytes.count)]), into: &output)
            output += "\r\n".utf8
        }
    }

    /// Lines of at most 76 characters, whose ends are marked where they are not the text's own.
    static func appendQuotedPrintable(_ bytes: [UInt8], to output: inout [UInt8]) {
        var column = 0
        var at = 0
        func isLineEnd(_ place: Int) -> Bool { place == bytes.count || (bytes[place] == 0x0D && place + 1 < bytes.count && bytes[place + 1] == 0x0A) }
        while at < bytes.count {
            if isLineEnd(at) {
                output += "\r\n".utf8
                column = 0
                at += 2
                continue
            }
            let byte = bytes[at]
            at += 1
            let isBlankAtEnd = (byte == 0x20 || byte == 0x09) && isLineEnd(at)
            let isPlain = (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "=") || byte == 0x09
            let token: [UInt8] = isPlain && !isBlankAtEnd ? [byte] : Array("=\(Hex.encode([byte]).uppercased())".utf8)
            // One column is kept for the mark, except where the line ends by itself.
            if column + token.count > (isLineEnd(at) ? 76 : 75) {
                output += "=\r\n".utf8
                column = 0
            }
            output += token
            column += token.count
        }
        if column > 0 || bytes.isEmpty { output += "\r\n".utf8 }
    }

    /// Whatever ends lines in `text`, CRLF ends them in a message.
    private static func withNetworkLineEnds(_ text: String) -> [UInt8] {
        var result: [UInt8] = []
        var previous: UInt8 = 0
        for byte in text.utf8 {
            switch byte {
            case 0x0D: result += [0x0D, 0x0A]
            case 0x0A where previous == 0x0D: break
            case 0x0A: result += [0x0D, 0x0A]
            default: result.append(byte)
            }
            previous = byte
        }
        return result
    }
}
