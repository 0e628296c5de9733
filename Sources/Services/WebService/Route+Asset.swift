import Formats
import HTTPServer

extension Route {
    /// A script or stylesheet of ours, kept by browsers for an hour.
    /// - Parameters:
    ///   - type: as `text/css`; all of them are UTF-8.
    ///   - isForAllSites: whether other sites' pages load it too.
    static func asset(_ path: String, _ type: String, _ text: String, isForAllSites: Bool = false) -> Route {
        Route("GET", path, isForAllSites ? .capability : .operation, bodyLimit: 0) { _ in
            var response = HTTPResponse(
                status: 200, headers: ["Content-Type": "\(type); charset=utf-8", "Cache-Control": "public, max-age=3600"], body: Array(text.utf8))
            if isForAllSites { response.headers["Cross-Origin-Resource-Policy"] = "cross-origin" }
            return response
        }
    }
}
