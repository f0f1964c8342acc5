"""The few drawings of the page, as SVG that takes the colour of the text around it."""

_OPEN = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"'
_ATTRIBUTES = f'{_OPEN} stroke-linejoin="round" aria-hidden="true" focusable="false"'

LOGO = (
    '<svg class="logo" viewBox="0 0 40 40" aria-hidden="true" focusable="false">'
    '<rect class="logo-back" x="9" y="3" width="28" height="28" rx="8"/>'
    '<rect class="logo-front" x="3" y="9" width="28" height="28" rx="8"/>'
    '<circle class="logo-eye" cx="17" cy="23" r="6.2"/><path class="logo-eye" d="m21.6 27.6 4.4 4.4"/></svg>'
)
DRIVE = (
    f'{_ATTRIBUTES} class="icon"><rect x="3" y="13" width="18" height="7" rx="2"/>'
    '<path d="m5 13 2.4-7.2A2 2 0 0 1 9.3 4.4h5.4a2 2 0 0 1 1.9 1.4L19 13"/><path d="M7 16.5h.01M10 16.5h.01"/></svg>'
)
STACK = (
    f'{_ATTRIBUTES} class="icon large"><rect x="3" y="7" width="14" height="14" rx="3"/>'
    '<path d="M8 3h10a3 3 0 0 1 3 3v10"/><path d="m3.6 18.4 4-4.2 3 3 2-2 3.8 3.9"/><path d="M12.5 11h.01"/></svg>'
)
CAMERA = (
    f'{_ATTRIBUTES} class="icon"><path d="M4 8h3l1.6-2.4h6.8L17 8h3v11H4Z"/><circle cx="12" cy="13" r="3.4"/></svg>'
)
THUMB_UP = (
    f'{_ATTRIBUTES} class="icon"><path d="M3.5 11h3v9h-3z"/><path d="M6.5 12 11 4.5c1.6 0 2.4 1 2.2 2.5L12.7 10h5.8'
    'c1.3 0 2.1 1 1.9 2.2l-1.2 6c-.2 1.1-1 1.8-2.1 1.8H6.5"/></svg>'
)
THUMB_DOWN = THUMB_UP.replace('class="icon"', 'class="icon turned"')
ALERT = f'{_ATTRIBUTES} class="icon"><circle cx="12" cy="12" r="9"/><path d="M12 7.8v5M12 16.2h.01"/></svg>'
MOON = f'{_ATTRIBUTES} class="icon moon"><path d="M20 14.2A8.2 8.2 0 0 1 9.8 4 8.2 8.2 0 1 0 20 14.2Z"/></svg>'
SUN = (
    f'{_ATTRIBUTES} class="icon sun"><circle cx="12" cy="12" r="4.2"/>'
    '<path d="M12 2.8v2M12 19.2v2M2.8 12h2M19.2 12h2"/>'
    '<path d="M5.5 5.5l1.4 1.4M17.1 17.1l1.4 1.4M5.5 18.5l1.4-1.4M17.1 6.9l1.4-1.4"/></svg>'
)

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect x="9" y="3" width="28" height="28" rx="8" '
    'fill="#9cd3c5"/><rect x="3" y="9" width="28" height="28" rx="8" fill="#0f6b5c"/><g fill="none" stroke="#fff" '
    'stroke-width="3" stroke-linecap="round"><circle cx="17" cy="23" r="6.2"/><path d="m21.6 27.6 4.4 4.4"/></g></svg>'
)
