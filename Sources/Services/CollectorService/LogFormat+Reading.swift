import Settings

extension CollectorSettings.LogFormat {
    /// Reads a line without its end.
    @inline(__always)
    func read(_ line: LogLine.Text) throws(LineFault) -> LogLine {
        switch self {
        case .nginxJSON: try JSONLogLine.read(line, .nginx)
        case .traefikJSON: try JSONLogLine.read(line, .traefik)
        case .combined: try CommonLogLine.read(line, .nginx)
        case .traefikCLF: try CommonLogLine.read(line, .traefik)
        }
    }
}
