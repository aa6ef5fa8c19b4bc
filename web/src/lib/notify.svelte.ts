import { text } from './text'

class Notifications {
  readonly possible = 'Notification' in window
  permission = $state<NotificationPermission>(this.possible ? Notification.permission : 'denied')

  async ask(): Promise<void> {
    if (this.possible) this.permission = await Notification.requestPermission()
  }
}

export const notifications = new Notifications()

/** Shows that somebody calls, while the page is not in view; the result takes it away. */
export function notifyOf(name: string): (() => void) | undefined {
  if (notifications.permission !== 'granted' || document.visibilityState === 'visible') return
  const n = new Notification(text.incoming.title(name), { icon: '/icon.svg', tag: 'call', requireInteraction: true })
  n.onclick = () => {
    window.focus()
    n.close()
  }
  return () => n.close()
}
