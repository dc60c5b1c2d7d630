import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { run } from '../../../../bench/policies.ts'
import { labOutput } from '../../../helpers/lab-output.ts'

const lab = labOutput()
const { out, errors } = lab

const SMALL = ['--trace', 'synthetic', '--limit', '200', '--nodes', '2', '--seeds', '2']

test('--json prints one object last, with what it was measured on', async () => {
  expect(await run([...SMALL, '--policies', 'sjf-last2', '--json'])).toBe(0)
  const report = JSON.parse(out.at(-1)!) as { policies: { policy: string }[] }
  expect(report).toMatchObject({
    trace: 'synthetic',
    seeds: [0, 1],
    base: 'fifo-fit',
    estimator: { estimator: 'learned' }
  })
  // The base and the clairvoyant run come along: the gap needs them.
  expect(report.policies.map(({ policy }) => policy)).toEqual(['fifo-fit', 'sjf-last2', 'sjf-oracle'])
  expect(report).toHaveProperty('commit')
  expect(report).toHaveProperty('machine')
})

test('the network of learned-network is trained during the run, and decides differently', async () => {
  const small = ['--trace', 'synthetic', '--limit', '1200', '--seeds', '1']
  expect(await run([...small, '--policies', 'learned,learned-network', '--json'])).toBe(0)
  const { policies } = JSON.parse(out.at(-1)!) as { policies: { policy: string; meanJctS: number }[] }
  const [without, withNetwork] = ['learned', 'learned-network'].map((name) =>
    policies.find(({ policy }) => policy === name)
  )
  expect(withNetwork!.meanJctS).toBeGreaterThan(0)
  expect(withNetwork!.meanJctS).not.toBe(without!.meanJctS)
})

test('--html writes one self-contained file and --svg the plots', async () => {
  const html = join(lab.folder, 'report.html')
  expect(
    await run([...SMALL, '--policies', 'sjf-last2', '--html', html, '--svg', join(lab.folder, 'plots')])
  ).toBe(0)
  const text = readFileSync(html, 'utf8')
  expect(text).not.toMatch(/<(script|link|img)[^>]*(src|href)=/)
  expect(text.match(/<svg/g)).toHaveLength(7)
  const plots = ['calibration', 'gantt-1', 'gantt-2', 'gantt-3', 'gap', 'jct', 'utilisation']
  expect(readdirSync(join(lab.folder, 'plots'))).toEqual(plots.map((name) => `${name}.svg`))
  for (const name of plots)
    expect(readFileSync(join(lab.folder, 'plots', `${name}.svg`), 'utf8')).not.toContain('NaN')
})

test('a compressed log on disk is read by its name', async () => {
  const path = join(lab.folder, 'small.swf.gz')
  const lines = Array.from(
    { length: 50 },
    (_, i) => `${i + 1} ${i * 10} -1 ${30 + i} 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1`
  )
  writeFileSync(path, gzipSync(`; MaxProcs: 4\n${lines.join('\n')}\n`))
  expect(await run(['--trace', path, '--policies', 'easy', '--load', '0.8'])).toBe(0)
  expect(out.join('\n')).toMatch(/^small: load 0\.79/)
})

test.each([
  [[], /--trace: got nothing, expected a path or "synthetic"/],
  [['--trace', 'nowhere.swf'], /trace nowhere\.swf: got no such file/],
  [[...SMALL, '--load', '3'], /--load: got "3", expected a number in \(0, 2\] \(INVALID_REQUEST\)/],
  [[...SMALL, '--seeds', '0'], /^bench: --seeds: got "0", expected a whole number from 1 to 10000/],
  [
    [...SMALL, '--policies', 'fifo,,easy'],
    /--policies: got "fifo,,easy", expected names separated by commas/
  ],
  [[...SMALL, '--policies', 'best'], /policy: got "best", expected one of/],
  [[...SMALL, '--policies', 'lerned'], /policy: got "lerned", expected one of .*; did you mean learned\?/],
  [[...SMALL, '--polices', 'easy'], /Unknown option '--polices'; did you mean --policies\? See --help/],
  [[...SMALL, '--wholly-unlike'], /Unknown option '--wholly-unlike'; see --help/],
  [
    [...SMALL, '--nodes', '1000000000'],
    /--nodes: got "1000000000", expected a whole number from 1 to 100000/
  ],
  [[...SMALL, '--jobs', '1e9'], /--jobs: got "1e9", expected a whole number from 1 to 1000000/],
  [['--trace', 'package.json'], /trace package\.json: got package\.json, expected a name that ends in/]
])('%j is misuse: exit code 2 and a message', async (argv, message) => {
  expect(await run(argv)).toBe(2)
  expect(errors.join('\n')).toMatch(message)
  expect(out).toEqual([])
})

test('a malformed line is misuse, and names file, line, field, got and expected', async () => {
  const path = join(lab.folder, 'bad.swf')
  writeFileSync(path, '1 0 -1 5 1 -1 -1 1 6 -1 1 1 1 1 1 1\n2 1 -1 many 1 -1 -1 1 6 -1 1 1 1 1 1 1\n')
  expect(await run(['--trace', path])).toBe(2)
  expect(errors.join('\n')).toContain(`${path}:2: field run time: got "many", expected a number`)
})

test('a file that only claims to be compressed is reported', async () => {
  const path = join(lab.folder, 'bad.swf.gz')
  writeFileSync(path, 'not compressed')
  expect(await run(['--trace', path])).toBe(2)
  expect(errors.join('\n')).toMatch(/incorrect header check, expected a readable file/)
})

test.each([
  ['html', ['nowhere', 'r.html'], 'ENOENT', 'a file'],
  ['html', [], 'EISDIR', 'a file'],
  ['svg', ['file', 'plots'], 'ENOTDIR', 'a folder'],
  ['svg', ['file'], 'ENOTDIR', 'a folder']
])(
  '--%s that cannot be written to is found before anything is read: %j',
  async (option, path, reason, kind) => {
    writeFileSync(join(lab.folder, 'file'), 'kept')
    const target = join(lab.folder, ...path)
    expect(await run(['--trace', 'nowhere.swf', `--${option}`, target, '--json'])).toBe(2)
    expect(errors.join('\n')).toMatch(
      new RegExp(`^bench: --${option}: got ".*" \\(${reason}: .*expected ${kind} that can`)
    )
    expect(out.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { ok: false, error: { code: 'INVALID_REQUEST', option, got: target } }
    ])
    expect(readdirSync(lab.folder)).toEqual(['file'])
  }
)

test('no folder can be made below /proc, which is found at once', async () => {
  expect(await run(['--trace', 'nowhere.swf', '--svg', '/proc/dtss/plots'])).toBe(2)
  expect(errors.join('\n')).toMatch(
    /--svg: got "\/proc\/dtss\/plots" \(.*\), expected a folder that can be written/
  )
})

test('what is tried before the run stays as it was', async () => {
  writeFileSync(join(lab.folder, 'old.html'), 'old')
  const outputs = ['--svg', join(lab.folder, 'new', 'plots'), '--html', join(lab.folder, 'new.html')]
  expect(await run(['--trace', 'nowhere.swf', ...outputs])).toBe(2)
  expect(await run(['--trace', 'nowhere.swf', '--html', join(lab.folder, 'old.html')])).toBe(2)
  expect(errors.join('\n')).not.toContain('that can be written')
  expect(readdirSync(lab.folder)).toEqual(['old.html'])
  expect(readFileSync(join(lab.folder, 'old.html'), 'utf8')).toBe('old')
})

test('a disk that is full after the run costs the file, not the figures', async () => {
  expect(await run([...SMALL, '--policies', 'fifo-fit', '--html', '/dev/full', '--json'])).toBe(2)
  expect(JSON.parse(out.at(-2)!)).toMatchObject({ policies: [{ policy: 'fifo-fit' }] })
  expect(JSON.parse(out.at(-1)!)).toMatchObject({ ok: false, error: { option: 'html', got: '/dev/full' } })
})

test.each([
  ['empty.jsonl', '', 'empty.jsonl:1: field line: got nothing'],
  ['long.jsonl', '{"id":"w","tasks":[{"n":"a","t":1e308}]}', 'long.jsonl:1: field tasks[0].t: got 1e+308'],
  [
    'cycle.jsonl',
    '\n{"id":"w","tasks":[{"n":"a","p":[[0,1]]}]}',
    'cycle.jsonl:2: field tasks[0].p: got [0,0]'
  ]
])('the trace %s is misuse', async (name, text, message) => {
  writeFileSync(join(lab.folder, name), text)
  expect(await run(['--trace', join(lab.folder, name), '--policies', 'fifo-fit'])).toBe(2)
  expect(errors.join('\n')).toContain(message)
})

test('--list names every policy, --help explains', async () => {
  expect(await run(['--list'])).toBe(0)
  expect(out.some((line) => line.startsWith('easy++'))).toBe(true)
  expect(await run(['--help'])).toBe(0)
  expect(out.at(-1)).toContain('--trace PATH')
})
