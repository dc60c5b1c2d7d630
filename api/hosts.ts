/**
 * Which names the API answers to. A page on the attacker's domain can make a browser resolve that domain to 127.0.0.1
 * (DNS rebinding) and then talk to a node as "same origin"; the Host header still carries the attacker's name. So a
 * request whose Host is not on the list, or whose Origin is not the host itself or configured, is refused.
 *
 * 1. Addresses are safe where names are not: a rebound page cannot have an address as its host. On an unspecified bind
 *    (0.0.0.0, ::) any address is accepted.
 * 2. Without authentication a node only binds loopback addresses: the shell executor runs what it is told to.
 */
import { isIP } from 'node:net'
import { AppError } from '../base/errors.ts'
import { shown } from './validation.ts'

export interface HostRules {
  /** The address that the server binds. */
  readonly host: string
  /** Further names that clients use, without ports. */
  readonly allowedHosts?: readonly string[]
  /** Origins of pages that may call the API, such as `http://localhost:5173`. */
  readonly allowedOrigins?: readonly string[]
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '::1']
/** Host headers already judged good. Bounded, since clients choose them (by port). */
const REMEMBERED_HOSTS = 64

/** Throws HOST_NOT_ALLOWED unless both headers are on the list. */
export type HostCheck = (host: string | undefined, origin: string | undefined) => void

/** The check for these rules. */
export function createHostCheck(rules: HostRules): HostCheck {
  const names = new Set(
    [...LOOPBACK_NAMES, rules.host, ...(rules.allowedHosts ?? [])].map((name) => bare(name))
  )
  const origins = new Set((rules.allowedOrigins ?? []).map((origin) => origin.toLowerCase()))
  const anyAddress = isUnspecified(rules.host)
  const good = new Set<string>()
  return (host, origin) => {
    if (host === undefined || !good.has(host)) {
      const name = host === undefined ? undefined : hostName(host)
      if (name === undefined || !(names.has(name) || (anyAddress && isIP(name) !== 0))) {
        throw refused('host', host, 'a name on the allow-list')
      }
      if (good.size < REMEMBERED_HOSTS) good.add(host ?? '')
    }
    if (origin === undefined) return
    const lower = origin.toLowerCase()
    const sameHost = `//${(host ?? '').toLowerCase()}`
    if (lower === `http:${sameHost}` || lower === `https:${sameHost}` || origins.has(lower)) return
    throw refused('origin', origin, 'the origin of the API itself, or one on the allow-list')
  }
}

/** Throws CONFIG_INVALID when an API without authentication would listen on an address that others can reach. */
export function checkBinding(host: string, authenticated: boolean): void {
  if (authenticated || isLoopback(host)) return
  throw new AppError(
    'CONFIG_INVALID',
    `host: got ${shown(host)} without authentication, expected a loopback address (127.0.0.1, ::1 or localhost)`,
    { details: { field: 'host', got: host, expected: 'a loopback address, or authentication' } }
  )
}

function isLoopback(host: string): boolean {
  const name = bare(host)
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
}

function isUnspecified(host: string): boolean {
  const name = bare(host)
  return name === '0.0.0.0' || name === '::'
}

/** The name in a Host header: without port and brackets, in lower case; undefined when it is not of that form. */
function hostName(header: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::[0-9]{1,5})?$/i.exec(header)
  return match?.[1] === undefined ? undefined : bare(match[1])
}

function bare(name: string): string {
  const lower = name.toLowerCase()
  return lower.startsWith('[') && lower.endsWith(']') ? lower.slice(1, -1) : lower
}

function refused(field: string, got: string | undefined, expected: string): AppError {
  return new AppError('HOST_NOT_ALLOWED', `${field}: got ${shown(got)}, expected ${expected}`, {
    details: { field, ...(got === undefined ? {} : { got }), expected }
  })
}
