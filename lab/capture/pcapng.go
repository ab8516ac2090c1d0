package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Meta is what a capture file says about itself.
type Meta struct {
	Start   time.Time // wall clock at Packet.At zero; the zero Time is 1970
	Comment string    // for the reader: the cell's id and what else helps
}

const (
	maxPacket  = 1 << 17 // bytes; IP ends at 64 KiB
	maxKeylog  = 1 << 19 // bytes
	maxComment = 1 << 10 // bytes; the format ends at 64 KiB
	dropped    = "dropped: "
	startLine  = "\nstart: " // ends the section comment: pcapng has no field for it
)

// WritePcapng writes the packets as a pcapng file that Wireshark opens
// decrypted: one raw IP interface for each side of the path, the direction in
// the packet flags (inbound: the engine received it), a comment on every packet
// that was dropped or changed, and keylog, lines in the format of
// SSLKEYLOGFILE, as a Decryption Secrets Block.
func WritePcapng(w io.Writer, meta Meta, packets []Packet, keylog []byte) error {
	if len(keylog) > maxKeylog {
		return fmt.Errorf("write pcapng: key log of %d bytes: want at most %d", len(keylog), maxKeylog)
	}
	ng, err := begin(w, &meta)
	if err != nil {
		return fmt.Errorf("write pcapng header: %w", err)
	}
	if len(keylog) > 0 { // before the packets it decrypts
		if err := ng.WriteDecryptionSecretsBlock(pcapgo.DSB_SECRETS_TYPE_TLS, keylog); err != nil {
			return fmt.Errorf("write pcapng key log: %w", err)
		}
	}
	for i := range packets {
		if err := writePacket(ng, meta.Start, &packets[i]); err != nil {
			return fmt.Errorf("write pcapng packet %d: %w", i+1, err)
		}
	}
	if err := ng.Flush(); err != nil {
		return fmt.Errorf("write pcapng: %w", err)
	}
	return nil
}

func begin(w io.Writer, meta *Meta) (*pcapgo.NgWriter, error) {
	if meta.Start.IsZero() {
		meta.Start = time.Unix(0, 0)
	}
	opts := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Application: "hybridlab",
		Comment:     comment(meta.Comment) + startLine + meta.Start.UTC().Format(time.RFC3339Nano),
	}}
	ng, err := pcapgo.NewNgWriterInterface(w, ngInterface(ClientSide), opts)
	if err != nil {
		return nil, err
	}
	_, err = ng.AddInterface(ngInterface(ServerSide))
	return ng, err
}

func ngInterface(s Side) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: s.String(), LinkType: layers.LinkTypeRaw, TimestampResolution: 9}
}

func writePacket(ng *pcapgo.NgWriter, start time.Time, p *Packet) error {
	if p.Side > ServerSide || p.Dir > ToClient {
		return fmt.Errorf("side %d, direction %d: no such thing", p.Side, p.Dir)
	}
	if len(p.Data) > maxPacket {
		return fmt.Errorf("%d bytes: no IP packet is that long", len(p.Data))
	}
	ci := gopacket.CaptureInfo{
		Timestamp: start.Add(p.At), CaptureLength: len(p.Data), Length: len(p.Data), InterfaceIndex: int(p.Side),
	}
	return ng.WritePacketWithOptions(ci, p.Data, options(p))
}

func options(p *Packet) pcapgo.NgPacketOptions {
	way := pcapgo.NgEpbFlagDirectionInbound
	if p.Leaves() {
		way = pcapgo.NgEpbFlagDirectionOutbound
	}
	opts := pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: way}}
	if p.ID != 0 {
		opts.PacketID = &p.ID // the format's own way to say that two interfaces saw one packet
	}
	if p.Drop != "" {
		opts.Comments = append(opts.Comments, dropped+comment(p.Drop))
	}
	if p.Note != "" {
		opts.Comments = append(opts.Comments, comment(p.Note))
	}
	return opts
}

// comment makes s valid: the format wants UTF-8.
func comment(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxComment)], "")
}

// ReadPcapng reads a file of WritePcapng. At counts from the start the file
// names, or else from its first packet. Files of other programs are refused,
// and so are files of more than 64 MiB.
//
// From a file that ends too early or is damaged it returns the packets before
// the damage, with the error.
func ReadPcapng(r io.Reader) (packets []Packet, keylog []byte, err error) {
	f, err := ReadFile(r)
	return f.Packets, f.KeyLog, err
}

// File is all that WritePcapng puts into one.
type File struct {
	Meta    Meta
	Packets []Packet
	KeyLog  []byte
}

// ReadFile is ReadPcapng with what the file says about itself.
func ReadFile(r io.Reader) (f File, err error) {
	b := &blocks{r: bufio.NewReader(r)}
	f.Packets, err = readPackets(b, &f.Meta)
	if err != nil {
		err = fmt.Errorf("read pcapng after %d packets: %w", len(f.Packets), err)
	}
	f.KeyLog = b.keylog
	return f, err
}

// Write writes the file.
func (f File) Write(w io.Writer) error { return WritePcapng(w, f.Meta, f.Packets, f.KeyLog) }

// On is the file as one side of the path alone would have captured it. Of a
// packet that crossed, only what that side saw is in it.
func (f File) On(side Side) File {
	f.Packets = slices.DeleteFunc(slices.Clone(f.Packets), func(p Packet) bool { return p.Side != side })
	return f
}

func readPackets(b *blocks, meta *Meta) (packets []Packet, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decode: panic: %v", r)
		}
	}()
	ng, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("no interface: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	if lt := ng.LinkType(); lt != layers.LinkTypeRaw {
		return nil, fmt.Errorf("link type %s: hybridlab writes %s", lt, layers.LinkTypeRaw)
	}
	start, known := startOf(ng.SectionInfo().Comment)
	*meta = Meta{Start: start, Comment: ng.SectionInfo().Comment}
	if known {
		meta.Comment = meta.Comment[:strings.LastIndex(meta.Comment, startLine)]
	}
	for {
		data, ci, opts, err := ng.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return packets, nil
		}
		if err != nil {
			return packets, err
		}
		if !known {
			start, known = ci.Timestamp, true
		}
		p, err := packet(ng, ci, opts)
		if err != nil {
			return packets, err
		}
		p.At, p.Data = ci.Timestamp.Sub(start), data
		packets = append(packets, p)
	}
}

func startOf(comment string) (time.Time, bool) {
	i := strings.LastIndex(comment, startLine)
	if i < 0 {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, comment[i+len(startLine):])
	return t, err == nil
}

// packet undoes writePacket but for time and data.
func packet(ng *pcapgo.NgReader, ci gopacket.CaptureInfo, opts pcapgo.NgPacketOptions) (Packet, error) {
	var p Packet
	intf, err := ng.Interface(ci.InterfaceIndex)
	if err != nil {
		return p, err
	}
	switch intf.Name {
	case ClientSide.String():
		p.Side = ClientSide
	case ServerSide.String():
		p.Side = ServerSide
	default:
		return p, fmt.Errorf("interface %q: want %q or %q", intf.Name, ClientSide, ServerSide)
	}
	if opts.Flags == nil || opts.Flags.Direction == pcapgo.NgEpbFlagDirectionUnknown {
		return p, errors.New("packet without a direction")
	}
	if leaves(p.Side, ToServer) != (opts.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound) {
		p.Dir = ToClient
	}
	if opts.PacketID != nil {
		p.ID = *opts.PacketID
	}
	for _, c := range opts.Comments {
		if reason, ok := strings.CutPrefix(c, dropped); ok {
			p.Drop = reason
		} else {
			p.Note = c
		}
	}
	return p, nil
}
