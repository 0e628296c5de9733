import Formats

extension SampleBatch {
    /// The body for the list.
    public func encoded() -> [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.beginObject()
        writer.member("v", 1 as Int64)
        writer.member("source", source)
        if let batch { writer.member("batch", batch) }
        writer.key(literal: "samples")
        var body = writer.bytes
        let beginnings = projects.map(Self.beginning(ofSampleOf:))
        body.reserveCapacity(body.count + rows.count * 80 + ids.reduce(0) { $0 + $1.utf8.count })
        body.append(UInt8(ascii: "["))
        for (index, row) in rows.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: beginnings[Int(row.project)])
            JSONWriter.appendDecimal(row.bytes, to: &body)
            body.append(contentsOf: Self.atKey)
            JSONWriter.appendDecimal(row.atMs, to: &body)
            if !ids.isEmpty {
                body.append(contentsOf: Self.idKey)
                var value = JSONWriter()
                value.string(ids[index])
                body.append(contentsOf: value.bytes)
            }
            body.append(UInt8(ascii: "}"))
        }
        body.append(contentsOf: Self.end)
        return body
    }

    private static let atKey = Array(#","at":"#.utf8)
    private static let idKey = Array(#","id":"#.utf8)
    private static let end = Array("]}".utf8)

    /// Written once per project and copied for each sample.
    private static func beginning(ofSampleOf project: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("project", project)
        writer.key(literal: "bytes")
        return writer.bytes
    }
}
