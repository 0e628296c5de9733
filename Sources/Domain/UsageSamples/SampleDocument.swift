import Formats

/// The object around the samples: on the list, and as `application/json`.
extension SampleReader {
    /// Who asks: on the list everything must be there; a poster is known by its key and its batch by a header.
    enum DocumentForm { case list, post }

    private enum Member: UInt8 {
        case version = 1
        case source = 2
        case batch = 4
        case samples = 8

        init?(_ name: SampleScanner.Text) {
            switch name.count {
            case 1 where name.spells("v"): self = .version
            case 5 where name.spells("batch"): self = .batch
            case 6 where name.spells("source"): self = .source
            case 7 where name.spells("samples"): self = .samples
            default: return nil
            }
        }
    }

    /// Reads the whole body.
    /// - Returns: what the body says of itself.
    mutating func document(_ form: DocumentForm) throws(SampleScanStop) -> (source: String?, batch: String?) {
        guard try scanner.peek() == UInt8(ascii: "{") else {
            try scanner.skip(depth: 0)
            try scanner.finish()
            fault("body", SampleRule.object)
            throw .enoughFaults
        }
        try scanner.open(depth: 1)
        var source: String?
        var batch: String?
        var given: UInt8 = 0
        var isFirst = true
        var others = MemberNames()
        while let name = try scanner.nextMember(&isFirst) {
            guard let member = Member(name) else {
                try scanner.note(name, in: &others)
                try scanner.skip(depth: 1)
                continue
            }
            guard given & member.rawValue == 0 else { throw scanner.duplicate() }
            given |= member.rawValue
            switch member {
            case .version: if try scanner.integer(depth: 1) != 1 { fault("v", SampleRule.version) }
            case .source where form == .post: try scanner.skip(depth: 1)
            case .source: source = try sourceName(depth: 1)
            case .batch: batch = try batchID(depth: 1)
            case .samples: try samples(depth: 1)
            }
            try goOn()
        }
        try scanner.finish()
        if form == .list && given & Member.version.rawValue == 0 { fault("v", SampleRule.version) }
        if form == .list && given & Member.source.rawValue == 0 { fault("source", SampleRule.name) }
        if given & Member.samples.rawValue == 0 { fault("samples", SampleRule.samples) }
        return (source, batch)
    }

    private mutating func sourceName(depth: Int) throws(SampleScanStop) -> String? {
        if let text = try scanner.string(depth: depth), SampleRule.isName(text) { return String(decoding: text, as: UTF8.self) }
        fault("source", SampleRule.name)
        return nil
    }

    /// Null is none.
    private mutating func batchID(depth: Int) throws(SampleScanStop) -> String? {
        if try scanner.null() { return nil }
        if let text = try scanner.string(depth: depth), SampleRule.isID(text, most: SampleBatch.batchIDMax) {
            // Who names the batch needs no ids in it.
            ids = .ignored
            return String(decoding: text, as: UTF8.self)
        }
        fault("batch", SampleRule.batchID)
        return nil
    }

    private mutating func samples(depth: Int) throws(SampleScanStop) {
        guard try scanner.peek() == UInt8(ascii: "[") else {
            try scanner.skip(depth: depth)
            return fault("samples", SampleRule.samples)
        }
        try scanner.open(depth: depth + 1)
        var isFirst = true
        var index = 0
        while try scanner.nextElement(&isFirst) {
            try count()
            place = .index(index)
            try sample(depth: depth + 1)
            try goOn()
            index += 1
        }
        place = nil
    }
}

extension SampleBatch {
    /// Reads a body of the list, in one pass and without a tree of it.
    ///
    /// As strict as the product's JSON everywhere: a member that stands twice is refused, unknown ones are left out, numbers are
    /// whole numbers.
    public init(decoding body: [UInt8]) throws(SampleFormatError) {
        guard body.count <= Self.bodyMax else {
            throw SampleFormatError(sample: nil, field: "", rule: "the body is larger than \(Self.bodyMax) bytes")
        }
        self = try body.withUnsafeBufferPointerTyped { (input) throws(SampleFormatError) in try Self.decode(input) }
    }

    private static func decode(_ input: UnsafeBufferPointer<UInt8>) throws(SampleFormatError) -> SampleBatch {
        var reader = SampleReader(input, ids: .collected, faultsMax: 1)
        do throws(SampleScanStop) {
            let (source, batch) = try reader.document(.list)
            if let made = reader.batch(source: source ?? "", batch: batch) { return made }
        } catch {
            if case .unreadable = error {
                throw SampleFormatError(SampleFault(place: reader.place, field: "", rule: "the body \(error.text())"))
            }
        }
        guard let fault = reader.faults.first else { preconditionFailure("a body is refused for a reason") }
        throw SampleFormatError(fault)
    }
}
