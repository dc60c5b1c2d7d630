/** HTTP with as little work in the load generator as possible: it shares the machine with what it measures. */
import { Agent, request } from 'node:http'

export class LeanClient {
  readonly #agent = new Agent({ keepAlive: true })
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** Sends a request and answers with the parsed reply. Rejects on any status from 400 on. */
  async json<Reply>(method: 'GET' | 'POST', path: string, body?: string): Promise<Reply> {
    const text = await this.#send(method, path, body)
    return JSON.parse(text) as Reply
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(method: string, path: string, body: string | undefined): Promise<string> {
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    return new Promise((resolve, reject) => {
      const call = request(`${this.#url}${path}`, { method, agent: this.#agent, headers }, (reply) => {
        let text = ''
        reply.setEncoding('utf8')
        reply.on('data', (chunk: string) => {
          text += chunk
        })
        reply.on('end', () => {
          if ((reply.statusCode ?? 500) < 400) resolve(text)
          else reject(new Error(`${method} ${path}: ${reply.statusCode ?? 0} ${text}`))
        })
      })
      call.on('error', reject)
      call.end(body)
    })
  }
}
