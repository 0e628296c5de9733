import Formats

/// What the first play found, for people and for machines.
enum ChaosReport {
    static func text(_ found: EnginePlay.Found, _ figures: EngineFigures?) -> String {
        var lines: [String] = []
        let rounds = found.rounds.values.reduce(0, +)
        lines.append("  rounds \(rounds)")
        for (kind, count) in found.rounds.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            let name = kind + String(repeating: " ", count: max(1, 28 - kind.count))
            lines.append("    \(name)\(count)" + (found.recovery[kind].map { "   recovery \($0.text)" } ?? ""))
            if let again = found.workingAgain[kind] { lines.append("      the cut-off worker itself works again: \(again.text)") }
        }
        if let figures {
            lines.append(
                "  acknowledged \(figures.acknowledged), effects \(figures.effects), doubled attempts refused \(figures.refused), "
                    + "calls outside \(figures.calls), second ones refused by their key \(figures.callsRefused), "
                    + "workers fenced \(figures.fenced) (required \(found.fencedRequired)), workers reclaimed \(figures.reclaimed), "
                    + "frozen inside of a SQL transaction \(found.frozenInTransaction); empty \(Number.fixed(figures.drainSeconds, 1)) s after the load"
            )
        }
        lines.append("  recovery of all: \(all(found).text)")
        return lines.joined(separator: "\n")
    }

    static func json(_ found: EnginePlay.Found, _ figures: EngineFigures?, violations: [String]) -> JSON {
        let kinds = found.rounds.sorted { $0.key < $1.key }.map { kind, count -> (String, JSON) in
            let json: JSON = [
                "rounds": .int(Int64(count)), "recovery_seconds": found.recovery[kind]?.json ?? .null,
                "working_again_seconds": found.workingAgain[kind]?.json ?? .null,
            ]
            return (kind, json)
        }
        return [
            "rounds": .int(Int64(found.rounds.values.reduce(0, +))), "kinds": .object(JSONObject(kinds)), "recovery_seconds": all(found).json,
            "seconds": Distribution.number(figures?.seconds ?? 0), "acknowledged": .int(Int64(figures?.acknowledged ?? 0)),
            "effects": .int(Int64(figures?.effects ?? 0)), "refused": .int(Int64(figures?.refused ?? 0)),
            "calls_outside": .int(Int64(figures?.calls ?? 0)), "calls_refused": .int(Int64(figures?.callsRefused ?? 0)),
            "fenced": .int(Int64(figures?.fenced ?? 0)), "fenced_required": .int(Int64(found.fencedRequired)),
            "reclaimed": .int(Int64(figures?.reclaimed ?? 0)), "frozen_in_transaction": .int(Int64(found.frozenInTransaction)),
            "drain_seconds": Distribution.number(figures?.drainSeconds ?? 0), "violations": .array(violations.map { .string($0) }),
        ]
    }

    private static func all(_ found: EnginePlay.Found) -> Distribution { Distribution(found.recovery.values.flatMap(\.values)) }
}
