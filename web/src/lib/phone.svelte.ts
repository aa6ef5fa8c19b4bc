// The microphone, loudspeaker, camera and screen of this browser, and the connection
// of all to the node. It is open during calls only.

import { api, NodeError } from './api'
import { text } from './text'
import type { Video } from './types'

export interface Problem {
  text: string
  hint?: string
}

/** Something that people can do something about. */
export class PhoneError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.text)
  }
}

const MIC = 'linnet-microphone'
const SPEAKER = 'linnet-speaker'
const CAMERA = 'linnet-camera'
const PATIENCE = 8000

function problemOf(e: unknown, m: typeof text.microphone | typeof text.lens = text.microphone): PhoneError {
  switch (e instanceof DOMException ? e.name : '') {
    case 'NotAllowedError':
    case 'SecurityError':
      return new PhoneError({ text: m.denied, hint: m.deniedHint })
    case 'NotFoundError':
    case 'OverconstrainedError':
      return new PhoneError({ text: m.missing, hint: m.missingHint })
    default:
      return new PhoneError({ text: m.busy, hint: m.busyHint })
  }
}

/** Opens the microphone that was chosen, or another one where that is gone. */
export async function openMicrophone(id: string): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new PhoneError({ text: text.microphone.insecure, hint: text.microphone.insecureHint })
  }
  const voice = { echoCancellation: true, noiseSuppression: true, autoGainControl: true }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { ...voice, deviceId: id || undefined } })
  } catch (e) {
    throw problemOf(e)
  }
}

/** Opens the camera that was chosen, or another one where that is gone. */
async function openCamera(id: string): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new PhoneError({ text: text.lens.insecure, hint: text.microphone.insecureHint })
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 }, deviceId: id || undefined } })
  } catch (e) {
    throw problemOf(e, text.lens)
  }
}

/** Asks which window or screen to show; nothing is an answer, too. */
async function openScreen(): Promise<MediaStream | undefined> {
  try {
    return await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 10, max: 15 } } })
  } catch (e) {
    if (e instanceof DOMException && (e.name === 'NotAllowedError' || e.name === 'AbortError')) return undefined
    throw new PhoneError({ text: text.screen.failed, hint: text.screen.failedHint })
  }
}

/** Tells the level of a stream, 0 to 1, ten times a second. */
export function meter(stream: MediaStream, tell: (level: number) => void): () => void {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  analyser.fftSize = 1024
  context.createMediaStreamSource(stream).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    let sum = 0
    for (const s of samples) sum += s * s
    const db = 10 * Math.log10(sum / samples.length + 1e-10)
    tell(Math.min(1, Math.max(0, (db + 60) / 50)))
  }, 100)
  return () => {
    clearInterval(timer)
    void context.close()
  }
}

class Phone {
  muted = $state(false)
  trouble = $state(false) // the node cannot be heard; it is tried again
  lonely = $state(false) // the browser offers no address: this computer has no network
  silent = $state(false) // nothing at all comes from the microphone
  blocked = $state(false) // the browser wants a click before it plays
  micLevel = $state(0)
  farLevel = $state(0)
  microphones = $state<MediaDeviceInfo[]>([])
  speakers = $state<MediaDeviceInfo[]>([])
  microphone = $state(localStorage.getItem(MIC) ?? '')
  speaker = $state(localStorage.getItem(SPEAKER) ?? '')
  cameras = $state<MediaDeviceInfo[]>([])
  camera = $state(localStorage.getItem(CAMERA) ?? '')
  showing = $state<Video>('none')
  own = $state.raw<MediaStream>() // what is shown
  remote = $state.raw<MediaStream>() // where the other side's video is seen, when there is some
  readonly sharesScreen = !!navigator.mediaDevices?.getDisplayMedia
  onVideoEnded: (() => void) | undefined // by the browser's own button, or an unplugged camera
  readonly choosesSpeaker = 'setSinkId' in HTMLMediaElement.prototype

  #wanted = false
  #connecting: Promise<void> | undefined
  #pc: RTCPeerConnection | undefined
  #stream: MediaStream | undefined
  #audio = new Audio()
  #stopMeters: (() => void) | undefined
  #retry = 0
  #playing = 0

  constructor() {
    this.#audio.autoplay = true
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.listDevices())
  }

  /** The connection, for whoever measures it. */
  get connection(): RTCPeerConnection | undefined {
    return this.#pc
  }

  async listDevices(): Promise<void> {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? []
    // Without permission there is one of each kind, without a name.
    const named = all.filter((d) => d.label !== '' && d.deviceId !== 'default' && d.deviceId !== 'communications')
    this.microphones = named.filter((d) => d.kind === 'audioinput')
    this.speakers = named.filter((d) => d.kind === 'audiooutput')
    this.cameras = named.filter((d) => d.kind === 'videoinput')
  }

  /** Opens the microphone and connects it; the error says what people can do. */
  connect(): Promise<void> {
    this.#wanted = true
    if (this.#pc) return this.#connecting ?? Promise.resolve()
    this.#connecting ??= this.#open().finally(() => (this.#connecting = undefined))
    return this.#connecting
  }

  async #open(): Promise<void> {
    if (!this.#stream) {
      this.#stream = await openMicrophone(this.microphone)
      this.#watchMicrophone()
      void this.listDevices()
    }
    if (!this.#wanted) return this.disconnect()
    const pc = new RTCPeerConnection()
    this.#pc = pc
    const track = this.#stream.getAudioTracks()[0]!
    track.enabled = !this.muted
    pc.addTransceiver(track, { direction: 'sendrecv', streams: [this.#stream] })
    // Video is agreed upon from the beginning and flows when somebody shows something.
    pc.addTransceiver(this.own?.getVideoTracks()[0] ?? 'video', { direction: 'sendrecv', streams: [this.#stream] })
    pc.ontrack = (e) => {
      if (e.track.kind === 'video') this.remote = new MediaStream([e.track])
      else this.#play(new MediaStream([e.track]))
    }
    pc.onconnectionstatechange = () => this.#changed(pc)
    try {
      await pc.setLocalDescription()
      const { answer } = await api.page(pc.localDescription!.sdp)
      await pc.setRemoteDescription({ type: 'answer', sdp: answer })
    } catch (e) {
      this.disconnect()
      if (e instanceof NodeError) throw new PhoneError({ text: e.failure.text, hint: e.failure.hint })
      throw e
    }
    setTimeout(() => this.#check(pc), PATIENCE)
  }

  #changed(pc: RTCPeerConnection): void {
    if (pc !== this.#pc) return
    if (pc.connectionState === 'connected') {
      this.trouble = this.lonely = false
    } else if (pc.connectionState === 'failed') {
      this.#again()
    }
  }

  #check(pc: RTCPeerConnection): void {
    if (pc !== this.#pc || pc.connectionState === 'connected') return
    this.lonely = !pc.localDescription?.sdp.includes('a=candidate')
    this.#again()
  }

  /** Connects anew, as long as there is a call. */
  #again(): void {
    this.#closeConnection()
    this.trouble = true
    clearTimeout(this.#retry)
    this.#retry = window.setTimeout(() => {
      if (this.#wanted) this.connect().catch(() => this.#wanted && this.#again())
    }, 1000)
  }

  #play(stream: MediaStream): void {
    this.#audio.srcObject = stream
    if (this.choosesSpeaker && this.speaker) this.#audio.setSinkId(this.speaker).catch(() => {})
    this.unblock()
  }

  /** Plays, after a click at the latest: a browser may hold sound back until it sees one, or that the page has the microphone. */
  unblock(tries = 0): void {
    clearTimeout(this.#playing)
    this.#audio.play().then(
      () => (this.blocked = false),
      (e) => {
        if (!(e instanceof DOMException) || e.name !== 'NotAllowedError' || !this.#audio.srcObject) return
        this.blocked = tries > 2
        this.#playing = window.setTimeout(() => this.unblock(tries + 1), 500)
      },
    )
  }

  #watchMicrophone(): void {
    this.#stopMeters?.()
    const stream = this.#stream!
    let quiet = 0
    const stopMic = meter(stream, (level) => {
      this.micLevel = this.muted ? 0 : level
      quiet = level === 0 && !this.muted ? quiet + 1 : 0
      this.silent = quiet > 50
    })
    const far = setInterval(() => {
      const source = this.#pc?.getReceivers()[0]?.getSynchronizationSources()[0]
      const fresh = source && performance.timeOrigin + performance.now() - source.timestamp < 500
      const db = 20 * Math.log10((fresh ? (source.audioLevel ?? 0) : 0) + 1e-5)
      this.farLevel = Math.min(1, Math.max(0, (db + 60) / 50))
    }, 100)
    stream.getAudioTracks()[0]!.onended = () => void this.#replaceMicrophone()
    this.#stopMeters = () => {
      stopMic()
      clearInterval(far)
    }
  }

  mute(on: boolean): void {
    this.muted = on
    for (const t of this.#stream?.getAudioTracks() ?? []) t.enabled = !on
  }

  async chooseMicrophone(id: string): Promise<void> {
    this.microphone = id
    localStorage.setItem(MIC, id)
    await this.#replaceMicrophone()
  }

  /** Another microphone during a call, or instead of one that was unplugged. */
  async #replaceMicrophone(): Promise<void> {
    const old = this.#stream
    if (!old) return
    const stream = await openMicrophone(this.microphone)
    const track = stream.getAudioTracks()[0]!
    track.enabled = !this.muted
    this.#stream = stream
    await this.#pc?.getSenders()[0]?.replaceTrack(track)
    this.#watchMicrophone()
    for (const t of old.getTracks()) {
      t.onended = null
      t.stop()
    }
  }

  /** Shows the camera, the screen or nothing; says what is shown now. */
  async show(what: Video): Promise<Video> {
    let stream: MediaStream | undefined
    if (what === 'camera') stream = await openCamera(this.camera)
    if (what === 'screen' && !(stream = await openScreen())) return this.showing
    const track = stream?.getVideoTracks()[0]
    if (track) {
      track.contentHint = what === 'screen' ? 'detail' : 'motion'
      track.onended = () => {
        this.#hide()
        this.onVideoEnded?.()
      }
    }
    this.#hide()
    this.own = stream
    this.showing = what
    await this.#pc?.getTransceivers()[1]?.sender.replaceTrack(track ?? null)
    if (what === 'camera') void this.listDevices()
    return what
  }

  #hide(): void {
    for (const t of this.own?.getTracks() ?? []) {
      t.onended = null
      t.stop()
    }
    this.own = undefined
    this.showing = 'none'
  }

  async chooseCamera(id: string): Promise<void> {
    this.camera = id
    localStorage.setItem(CAMERA, id)
    if (this.showing === 'camera') await this.show('camera')
  }

  chooseSpeaker(id: string): void {
    this.speaker = id
    localStorage.setItem(SPEAKER, id)
    if (this.choosesSpeaker) this.#audio.setSinkId(id).catch(() => {})
  }

  #closeConnection(): void {
    this.#pc?.close()
    this.#pc = undefined
    this.#audio.srcObject = null
    this.remote = undefined
  }

  disconnect(): void {
    this.#wanted = false
    clearTimeout(this.#retry)
    this.#closeConnection()
    this.#stopMeters?.()
    this.#stopMeters = undefined
    for (const t of this.#stream?.getTracks() ?? []) {
      t.onended = null
      t.stop()
    }
    this.#stream = undefined
    this.#hide()
    this.muted = this.trouble = this.lonely = this.silent = this.blocked = false
    this.micLevel = this.farLevel = 0
  }
}

export const phone = new Phone()
