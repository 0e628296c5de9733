import Formats

/// Samples as CloudEvents 1.0 in JSON: the project is `data.project` or else the `subject`, the moment is `time`.
extension SampleReader {
    /// An array of events.
    mutating func events() throws(SampleScanStop) {
        guard try scanner.peek() == UInt8(ascii: "[") else {
            try scanner.skip(depth: 0)
            try scanner.finish()
            return fault("events", "must be an array of 1 to \(SampleBatch.samplesMax) events")
        }
        try scanner.open(depth: 1)
        var isFirst = true
        var index = 0
        while try scanner.nextElement(&isFirst) {
            try count()
            place = .index(index)
            try event(depth: 1)
            try goOn()
            index += 1
        }
        place = nil
        try scanner.finish()
    }

    mutating func singleEvent() throws(SampleScanStop) {
        try count()
        place = .index(0)
        try event(depth: 0)
        place = nil
        try scanner.finish()
    }

    private enum Member: UInt16 {
        case specversion = 1
        case id = 2
        case source = 4
        case type = 8
        case subject = 16
        case time = 32
        case data = 64

        static let required: [(member: Member, field: String, rule: String)] = [
            (.specversion, "specversion", CloudEventRule.version), (.id, "id", CloudEventRule.id), (.source, "source", CloudEventRule.source),
            (.type, "type", CloudEventRule.type), (.time, "time", CloudEventRule.time), (.data, "data", SampleRule.object),
        ]

        init?(_ name: SampleScanner.Text) {
            switch name.count {
            case 2 where name.spells("id"): self = .id
            case 4 where name.spells("type"): self = .type
            case 4 where name.spells("time"): self = .time
            case 4 where name.spells("data"): self = .data
            case 6 where name.spells("source"): self = .source
            case 7 where name.spells("subject"): self = .subject
            case 11 where name.spells("specversion"): self = .specversion
            default: return nil
            }
        }
    }

    /// What an event has told so far.
    private struct Event {
        var id: String?
        var source: String?
        var subject: String?
        var atMs: Int64 = -1
        var project: String?
        /// Data or subject name a project, if only wrongly.
        var namesProject = false
        var bytes: Int64 = -1
        var hasData = false
    }

    /// Reads the event that stands here.
    private mutating func event(depth: Int) throws(SampleScanStop) {
        guard try scanner.peek() == UInt8(ascii: "{") else {
            try scanner.skip(depth: depth)
            return fault("event", SampleRule.object)
        }
        try scanner.open(depth: depth + 1)
        let known = faults.count
        var event = Event()
        var given: UInt16 = 0
        var isFirst = true
        var others = MemberNames()
        while let name = try scanner.nextMember(&isFirst) {
            guard let member = Member(name) else {
                try scanner.note(name, in: &others)
                try scanner.skip(depth: depth + 1)
                continue
            }
            guard given & member.rawValue == 0 else { throw scanner.duplicate() }
            given |= member.rawValue
            try read(member, into: &event, depth: depth + 1)
        }
        for (member, field, rule) in Member.required where given & member.rawValue == 0 { fault(field, rule) }
        guard event.hasData else { return }
        var project: Int32 = -1
        if let name = event.project {
            project = projectNumber(name, field: "data.project")
        } else if let name = event.subject {
            project = projectNumber(name, field: "subject")
        } else if !event.namesProject {
            fault("subject", "or data.project \(SampleRule.name)")
        }
        guard faults.count == known, let id = event.id, let source = event.source else { return }
        append(SampleBatch.Row(project: project, bytes: event.bytes, atMs: event.atMs), id: ids == .collected ? "\(source)|\(id)" : nil)
    }

    private mutating func read(_ member: Member, into event: inout Event, depth: Int) throws(SampleScanStop) {
        switch member {
        case .specversion:
            let text = try scanner.string(depth: depth)
            if text?.spells("1.0") != true { fault("specversion", CloudEventRule.version) }
        case .type:
            let text = try scanner.string(depth: depth)
            if text?.isEmpty != false { fault("type", CloudEventRule.type) }
        case .id: event.id = try attribute(depth: depth, field: "id", CloudEventRule.id) { SampleRule.isID($0, most: CloudEventRule.idMax) }
        case .source: event.source = try attribute(depth: depth, field: "source", CloudEventRule.source, CloudEventRule.isSource)
        case .subject:
            event.namesProject = true
            event.subject = try attribute(depth: depth, field: "subject", CloudEventRule.subject) { _ in true }
        case .time: event.atMs = try writtenMoment(depth: depth, "time", CloudEventRule.time)
        case .data: try data(into: &event, depth: depth)
        }
    }

    private mutating func attribute(
        depth: Int, field: String, _ rule: String, _ isGood: (SampleScanner.Text) -> Bool
    ) throws(SampleScanStop) -> String? {
        if let text = try scanner.string(depth: depth), isGood(text) { return String(decoding: text, as: UTF8.self) }
        fault(field, rule)
        return nil
    }

    private mutating func data(into event: inout Event, depth: Int) throws(SampleScanStop) {
        guard try scanner.peek() == UInt8(ascii: "{") else {
            try scanner.skip(depth: depth)
            return fault("data", SampleRule.object)
        }
        try scanner.open(depth: depth + 1)
        event.hasData = true
        var hasBytes = false
        var hasMetric = false
        var hasProject = false
        var isFirst = true
        var others = MemberNames()
        while let name = try scanner.nextMember(&isFirst) {
            if name.spells("bytes") {
                guard !hasBytes else { throw scanner.duplicate() }
                hasBytes = true
                event.bytes = try byteCount(depth: depth + 1, field: "data.bytes")
            } else if name.spells("metric") {
                guard !hasMetric else { throw scanner.duplicate() }
                hasMetric = true
                try metric(depth: depth + 1, field: "data.metric")
            } else if name.spells("project") {
                guard !hasProject else { throw scanner.duplicate() }
                hasProject = true
                event.namesProject = true
                event.project = try attribute(depth: depth + 1, field: "data.project", SampleRule.name, SampleRule.isName)
            } else {
                try scanner.note(name, in: &others)
                try scanner.skip(depth: depth + 1)
            }
        }
        if !hasBytes { fault("data.bytes", SampleRule.bytes) }
    }
}

/// The rules of an event's attributes, as they are told.
private enum CloudEventRule {
    static let version = "must be \"1.0\""
    static let type = "must be a text that is not empty"
    static let subject = "must be a text"
    static let time = "must be an RFC 3339 text"
    static let idMax = 200
    static let sourceMax = 199
    static let id = "must have 1 to \(idMax) visible ASCII characters"
    static let source = "must have 1 to \(sourceMax) visible ASCII characters without '|'"

    /// No URI holds a `|`: behind the first one begins the event's id, wherever else one stands.
    static func isSource(_ text: SampleScanner.Text) -> Bool {
        SampleRule.isID(text, most: sourceMax) && !text.contains(UInt8(ascii: "|"))
    }
}
