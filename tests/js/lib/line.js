// A line to the server that can be cut, as a tunnel or a lost network does it.
import net from "node:net";

export class Line {
  #ends = new Set();
  #server = net.createServer({ noDelay: true }, (near) => this.#connect(near));
  #target;
  /** How many connections went through. */
  connections = 0;

  /** A line to the server of this URL, ready for use. */
  static async to(url) {
    const line = new Line();
    line.#target = new URL(url);
    await new Promise((resolve) => line.#server.listen(0, "127.0.0.1", resolve));
    return line;
  }

  /** The server's URL, through this line. */
  get url() {
    const url = new URL(this.#target);
    url.port = this.#server.address().port;
    return url.href;
  }

  /** Reset all connections; new ones can be made. */
  cut() {
    for (const end of this.#ends) end.resetAndDestroy();
  }

  close() {
    this.#server.close();
    for (const end of this.#ends) end.destroy();
  }

  #connect(near) {
    this.connections += 1;
    const far = net.connect({ host: this.#target.hostname, port: this.#target.port, noDelay: true });
    for (const [end, other] of [[near, far], [far, near]]) {
      this.#ends.add(end);
      end.on("error", () => other.destroy());
      end.on("close", () => {
        this.#ends.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
  }
}
